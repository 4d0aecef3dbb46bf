//! Creating, swapping and removing tables of rows.

use super::{ColumnKind, RowTable, TableColumn, rights};
use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::{on_db, on_tx};
use sqlx::Executor;

/// How long removing a table may wait for its users, and delay later ones.
const LOCK_WITHIN: &str = "SET LOCAL lock_timeout = '2s'";

/// No parallel workers for an index: starting them is expensive, and a build that has the database for
/// itself makes several indexes at the same time.
const BY_ITSELF: &str = "SET LOCAL max_parallel_maintenance_workers = 0";

const POSTGRES_COUNT: &str = "SELECT count(*) FROM pg_tables \
    WHERE schemaname = current_schema() AND tablename = $1";
const SQLITE_COUNT: &str = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1";

/// The outcome of removing a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// It is gone.
    Removed,
    /// Another transaction uses it; the text is the database's message.
    InUse(String),
}

impl RowTable {
    /// Creates the table without indexes: it is filled in bulk, when indexes are expensive.
    pub async fn create_bare(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let name = &self.name;
        // On SQLite a key of exactly this type is the row's own, without an additional index.
        let key = match tx {
            Tx::Postgres(_) => "bigint",
            Tx::Sqlite(_) => "INTEGER",
        };
        let declared = self.columns.iter().map(|TableColumn { name, kind }| match kind {
            ColumnKind::Number => format!("{name} bigint, "),
            ColumnKind::Text => format!("{name} text, "),
        });
        let declared: String = declared.collect();
        let sql = format!(
            "CREATE TABLE {name} (no {key} PRIMARY KEY, sequence bigint NOT NULL, \
             gone bigint NOT NULL, {declared}stale_since bigint, stale_reason text, \
             doc text NOT NULL)"
        );
        run(tx, &sql).await
    }

    /// Lets rows be found by a column.
    pub async fn index(&self, db: &Db, column: &str) -> Result<(), StoreError> {
        let name = &self.name;
        let mut tx = db.begin().await?;
        if let Tx::Postgres(_) = tx {
            run(&mut tx, BY_ITSELF).await?;
        }
        // On SQLite every entry ends with the row's own key anyway.
        let key = if db.is_postgres() { ", no" } else { "" };
        // An empty column is never queried, and needs no entry.
        let sql = format!(
            "CREATE INDEX {name}_{column} ON {name} ({column}{key}) WHERE {column} IS NOT NULL"
        );
        run(&mut tx, &sql).await?;
        tx.commit().await
    }

    /// Takes the place of another table, with its owner and grants, from the end of `tx` on; indexes keep
    /// their names.
    pub async fn take_place_of(&self, tx: &mut Tx, served: &Self) -> Result<(), StoreError> {
        if let Tx::Postgres(_) = tx {
            run(tx, LOCK_WITHIN).await?;
        }
        rights::carry_over(tx, &served.name, &self.name).await?;
        run(tx, &format!("DROP TABLE IF EXISTS {}", served.name)).await?;
        run(tx, &format!("ALTER TABLE {} RENAME TO {}", self.name, served.name)).await
    }

    /// Whether the table exists.
    pub async fn exists(&self, db: &Db) -> Result<bool, StoreError> {
        let sql = match db {
            Db::Postgres(_) => POSTGRES_COUNT,
            Db::Sqlite { .. } => SQLITE_COUNT,
        };
        let count: i64 = on_db!(db, pool => {
            sqlx::query_scalar(sql).bind(&self.name).fetch_one(pool).await?
        });
        Ok(count > 0)
    }

    /// As [`RowTable::exists`], as `tx` sees it.
    pub async fn exists_in(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        let sql = match tx {
            Tx::Postgres(_) => POSTGRES_COUNT,
            Tx::Sqlite(_) => SQLITE_COUNT,
        };
        let count: i64 = on_tx!(tx, connection => {
            sqlx::query_scalar(sql).bind(&self.name).fetch_one(connection).await?
        });
        Ok(count > 0)
    }

    /// Removes the table.
    pub async fn remove(&self, db: &Db) -> Result<(), StoreError> {
        remove(db, &self.name).await
    }

    /// The names of all tables that begin so.
    pub async fn names_with(db: &Db, prefix: &str) -> Result<Vec<String>, StoreError> {
        let sql = match db {
            Db::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() \
                 AND left(tablename, length($1)) = $1"
            }
            Db::Sqlite { .. } => {
                "SELECT name FROM sqlite_master WHERE type = 'table' \
                 AND substr(name, 1, length($1)) = $1"
            }
        };
        Ok(on_db!(db, pool => sqlx::query_scalar(sql).bind(prefix).fetch_all(pool).await)?)
    }

    /// Removes the table of this name, unless another transaction uses it, one that was stopped for
    /// example: then it is left to the next removal.
    pub async fn remove_leftover(db: &Db, name: &str) -> Result<Leftover, StoreError> {
        match remove(db, name).await {
            Ok(()) => Ok(Leftover::Removed),
            Err(StoreError::Unavailable(why)) if db.is_postgres() => Ok(Leftover::InUse(why)),
            Err(error) => Err(error),
        }
    }
}

async fn remove(db: &Db, table: &str) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    if let Tx::Postgres(_) = tx {
        run(&mut tx, LOCK_WITHIN).await?;
    }
    run(&mut tx, &format!("DROP TABLE IF EXISTS {table}")).await?;
    tx.commit().await
}

async fn run(tx: &mut Tx, sql: &str) -> Result<(), StoreError> {
    on_tx!(tx, connection => connection.execute(sql).await.map(drop))?;
    Ok(())
}
