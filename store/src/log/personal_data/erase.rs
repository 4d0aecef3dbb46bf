//! Erasing: the name from its rows, and then what the engine keeps of rows that are no more. What can't be
//! reached from here is reported.
//!
//! SQLite overwrites what is deleted (`secure_delete`, on every connection that writes to the log) and
//! folds its write-ahead log away; the tables are written again, since pages from before may hold more.
//! PostgreSQL leaves old rows in the table's file until `VACUUM FULL` writes a new one.

use crate::db::sqlite::{BUSY, Folded, LogWriterConnection, OwnSession, Writer};
use crate::db::{Pooled, Session};
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
use sqlx::{Executor, Postgres};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The tables that hold names.
const TABLES: [&str; 2] = ["personal_names", "personal_data"];
/// Rows that are written again at most: all others who write wait meanwhile.
const REWRITTEN: i64 = 200_000;
/// How long others who read old rows are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long SQLite waits for them at each try.
const BRIEFLY: Duration = Duration::from_millis(100);
/// Between two looks whether they are gone.
const BETWEEN: Duration = Duration::from_millis(100);

/// What an erasure came to.
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
    /// SQLite's write-ahead log, which somebody reads from.
    WriteAheadLog,
    /// The unused room in the table's file, which is too big to be written again beside others.
    TableFile,
    /// The table's file: only its owner may have it written again.
    NotOwner,
    /// The table's file: a transaction that began before the erasure may still look at the old rows, or
    /// somebody has the table.
    OldTransaction,
    /// PostgreSQL's own write-ahead log, until its files are used again.
    ServerLog,
}

/// On SQLite; in a task of its own, so that a caller that goes away leaves no transaction behind. As with appends,
/// a file that is damaged, that failed to sync or that isn't the open one any more takes nothing from here on.
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
    let until = Instant::now() + PATIENCE;
    // Between two tries others may write.
    while !fold(&mut *writer.lock().await).await? {
        if Instant::now() > until {
            remains.push(Remains::WriteAheadLog);
            break;
        }
        sleep(BETWEEN).await;
    }
    Ok(Erased { names: u64::try_from(names).unwrap_or(0), remains })
}

/// Erases the names, and writes the tables again unless they are too big; how many names there were, and whether
/// the tables were written again.
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
    let is_small = rows <= REWRITTEN;
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
        // Some errors have ended the transaction already: then this closes the connection.
        drop(session.turn("ROLLBACK").await);
        return Err(error.into());
    }
    Ok((names, is_small))
}

/// Tries to fold the write-ahead log away; whether it is empty. SQLite keeps all writers out while it waits for
/// readers, so that it waits for a moment only.
async fn fold(turn: &mut LogWriterConnection) -> Result<bool, StoreError> {
    let session = turn.session().await?;
    session.execute(format!("PRAGMA busy_timeout = {}", BRIEFLY.as_millis()).as_str()).await?;
    let folded = Folded::now(&mut *session).await;
    let again = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
    if session.execute(again.as_str()).await.is_err() {
        session.discard();
    }
    Ok(folded?.is_removed)
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
        // Closed afterwards: its limit on waiting is no other's.
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
    Ok(sqlx::query_scalar(sql).bind(REWRITTEN).fetch_one(session).await?)
}

/// Writes the tables into new files; what keeps old rows in them, if anything does.
async fn write_again(session: &mut Session<Postgres>) -> Result<Option<Remains>, StoreError> {
    let until = Instant::now() + PATIENCE;
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
            sleep(BETWEEN).await;
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
            sleep(BETWEEN).await;
        }
    }
    Ok(None)
}
