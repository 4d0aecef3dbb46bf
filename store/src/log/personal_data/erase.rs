//! Erases a name from its rows, and then from the engine's copies of old rows. Copies that can't be reached from here
//! are reported.
//!
//! SQLite overwrites deleted rows (`secure_delete`, on every connection that writes to the log), and the write-ahead
//! log is checkpointed and emptied; the tables are written again, since older pages may hold more. PostgreSQL leaves
//! old rows in the table's file until `VACUUM FULL` writes a new one.

use crate::db::sqlite::{BUSY, LogWriterConnection, OwnSession, WalCheckpoint, Writer};
use crate::db::{Pooled, Session};
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
use sqlx::{Executor, Postgres};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The tables that hold names.
const TABLES: [&str; 2] = ["personal_names", "personal_data"];
/// Most rows that are written again: all other writers wait meanwhile.
const MAX_REWRITTEN_ROWS: i64 = 200_000;
/// How long readers of old rows are waited for.
const READERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for them at each try.
const READERS_TIMEOUT_PER_TRY: Duration = Duration::from_millis(100);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// The result of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// How many names were there until now.
    pub names: u64,
    /// Where the engine may still have them.
    pub remains: Vec<Remains>,
}

/// Where a name may still be that no answer shows any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// SQLite's write-ahead log, which a reader still uses.
    WriteAheadLog,
    /// Unused pages of the table's file, which is too large to be written again while others work.
    TableFile,
    /// The table's file: only its owner may have it written again.
    NotOwner,
    /// The table's file: a transaction that began before the erasure may still read the old rows, or another session
    /// has locked the table.
    OldTransaction,
    /// PostgreSQL's own write-ahead log, until its files are used again.
    ServerLog,
}

/// Erases on SQLite, in a task of its own, so that a caller that goes away leaves no transaction behind. As with
/// appends, a file that is damaged, that failed to sync or that is no longer the open one takes no more writes.
pub(super) async fn sqlite(
    writer: &Writer,
    guard: &LogIdentityGuard,
    person_id: i64,
) -> Result<Erased, StoreError> {
    let (writer, guard) = (Arc::clone(writer), guard.clone());
    let erasing = tokio::spawn(async move {
        guard.check()?;
        let erased = in_file(&writer, person_id).await;
        let erased = erased.inspect_err(|error| guard.notice(error))?;
        guard.check_files().await?;
        Ok(erased)
    });
    erasing.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

async fn in_file(writer: &Writer, person_id: i64) -> Result<Erased, StoreError> {
    let (names, is_small) = overwrite(writer.lock().await.session().await?, person_id).await?;
    let mut remains = Vec::new();
    if !is_small {
        remains.push(Remains::TableFile);
    }
    let until = Instant::now() + READERS_TIMEOUT;
    // Between two tries other callers may write.
    while !empty_wal(&mut *writer.lock().await).await? {
        if Instant::now() > until {
            remains.push(Remains::WriteAheadLog);
            break;
        }
        sleep(PAUSE).await;
    }
    Ok(Erased { names: u64::try_from(names).unwrap_or(0), remains })
}

/// Erases the names, and writes the tables again unless they are too large; returns how many names there were, and
/// whether the tables were written again.
async fn overwrite(session: &mut OwnSession, person_id: i64) -> Result<(i64, bool), StoreError> {
    let (mut names, mut rows) = (0_i64, 0_i64);
    for table in TABLES {
        let of_person = format!("SELECT count(name) FROM {table} WHERE person_id = $1");
        let count: i64 =
            sqlx::query_scalar(&of_person).bind(person_id).fetch_one(&mut *session).await?;
        names += count;
        let all = format!("SELECT count(*) FROM {table}");
        let count: i64 = sqlx::query_scalar(&all).fetch_one(&mut *session).await?;
        rows += count;
    }
    let is_small = rows <= MAX_REWRITTEN_ROWS;
    let steps = TABLES.map(|table| {
        let erase = format!("UPDATE {table} SET name = NULL WHERE person_id = {person_id};");
        let again = format!(
            "CREATE TEMP TABLE kept AS SELECT * FROM {table} ORDER BY rowid; DELETE FROM {table}; \
             INSERT INTO {table} SELECT * FROM kept ORDER BY rowid; DROP TABLE kept;"
        );
        if is_small { erase + &again } else { erase }
    });
    let sql = format!("BEGIN IMMEDIATE; {} COMMIT", steps.concat());
    if let Err(error) = session.execute(sql.as_str()).await {
        // Where the error has ended the transaction already, this fails and closes the connection.
        drop(session.transaction_control("ROLLBACK").await);
        return Err(error.into());
    }
    Ok((names, is_small))
}

/// Tries to checkpoint and empty the write-ahead log; returns whether it is empty. SQLite blocks all writers while it
/// waits for readers, so that each try is short.
async fn empty_wal(connection: &mut LogWriterConnection) -> Result<bool, StoreError> {
    let session = connection.session().await?;
    session
        .execute(format!("PRAGMA busy_timeout = {}", READERS_TIMEOUT_PER_TRY.as_millis()).as_str())
        .await?;
    let checkpoint = WalCheckpoint::run(&mut *session).await;
    let again = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
    if session.execute(again.as_str()).await.is_err() {
        session.discard();
    }
    Ok(checkpoint?.is_emptied)
}

/// On PostgreSQL.
pub(super) async fn postgres(
    pool: &Pooled<Postgres>,
    person_id: i64,
) -> Result<Erased, StoreError> {
    let mut session = pool.acquire().await?;
    let mut names = 0;
    for table in TABLES {
        let sql =
            format!("UPDATE {table} SET name = NULL WHERE person_id = $1 AND name IS NOT NULL");
        let done = sqlx::query(&sql).bind(person_id).execute(&mut session).await?;
        names += done.rows_affected();
    }
    let mut remains = Vec::new();
    if !is_owner(&mut session).await? {
        remains.push(Remains::NotOwner);
    } else if !is_small(&mut session).await? {
        remains.push(Remains::TableFile);
    } else {
        // The session closes afterwards, so that its time limits apply to no other caller.
        let outcome = write_again(&mut session).await;
        session.discard();
        remains.extend(outcome?);
    }
    remains.push(Remains::ServerLog);
    Ok(Erased { names, remains })
}

async fn is_owner(session: &mut Session<Postgres>) -> Result<bool, StoreError> {
    let sql = "SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class \
               WHERE oid = ANY(ARRAY['personal_names', 'personal_data']::regclass[])";
    Ok(sqlx::query_scalar::<_, Option<bool>>(sql).fetch_one(session).await?.unwrap_or(false))
}

async fn is_small(session: &mut Session<Postgres>) -> Result<bool, StoreError> {
    // As many rows as are written again on SQLite, at about 128 bytes each.
    let sql = "SELECT (pg_relation_size('personal_names') + pg_relation_size('personal_data')) \
               / 128 <= $1";
    Ok(sqlx::query_scalar(sql).bind(MAX_REWRITTEN_ROWS).fetch_one(session).await?)
}

/// Writes the tables into new files; returns the reason if old rows stay in them.
async fn write_again(session: &mut Session<Postgres>) -> Result<Option<Remains>, StoreError> {
    let until = Instant::now() + READERS_TIMEOUT;
    let sql = "SELECT pg_current_xact_id()::text";
    let now: String = sqlx::query_scalar(sql).fetch_one(&mut *session).await?;
    let older = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND pid <> pg_backend_pid() AND age(backend_xmin) > age($1::text::xid8::xid)) \
                 OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database())";
    let mut waits = true;
    while waits {
        waits = sqlx::query_scalar(older).bind(now.as_str()).fetch_one(&mut *session).await?;
        if waits && Instant::now() > until {
            return Ok(Some(Remains::OldTransaction));
        }
        if waits {
            sleep(PAUSE).await;
        }
    }
    session.execute("SET lock_timeout = '1s'; SET statement_timeout = '30s'").await?;
    for table in TABLES {
        let sql = format!("VACUUM (FULL) {table}");
        while let Err(error) = session.execute(sql.as_str()).await {
            let is_locked = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            if is_locked.as_deref() != Some("55P03") {
                return Err(error.into());
            }
            if Instant::now() > until {
                return Ok(Some(Remains::OldTransaction));
            }
            sleep(PAUSE).await;
        }
    }
    Ok(None)
}
