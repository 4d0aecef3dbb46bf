//! Connections to the databases of both engines: how they are opened, migrated, pooled and kept, reads that share one
//! query, and COPY. Nothing here knows what the tables mean.
//!
//! One body of Rust serves both engines through [`on_db!`](crate::on_db!) and [`on_tx!`](crate::on_tx!): SQL with `$1`
//! parameters means the same on either. SQL that differs belongs into migrations; Rust that differs into files named
//! after the engine.

pub(crate) mod connection_guard;
mod copy_in;
mod data_folder;
mod databases;
pub(crate) mod from_row;
mod inspection;
pub(crate) mod migration;
mod pooled;
pub(crate) mod postgres;
pub(crate) mod recv_batch;
pub(crate) mod session;
pub(crate) mod shared_reads;
pub(crate) mod sqlite;
pub(crate) mod sticky_connection;
pub(crate) mod tasks;
mod transaction;
mod wal;
pub(crate) mod wal_index;

pub use copy_in::CopyIn;
pub use data_folder::make_private_folder;
pub(crate) use databases::Databases;
pub use databases::MissingViews;
pub use migration::Migrated;
pub use pooled::Pooled;
pub use session::Session;
pub use transaction::Transaction;

use crate::error::StoreError;
use sqlite::Writer;
use sqlx::{Executor, Postgres, Sqlite};

/// Independent of the defaults of the server, the database and the role.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE";
const POSTGRES_NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const SQLITE_NOW: &str = "CAST(round(unixepoch('now', 'subsec') * 1000000) AS INTEGER)";

/// A database on one of the engines.
#[derive(Debug, Clone)]
pub enum Db {
    /// A PostgreSQL database.
    Postgres(Pooled<Postgres>),
    /// A SQLite file.
    Sqlite {
        /// One connection, for everything that writes.
        write: Pooled<Sqlite>,
        /// Read-only connections.
        read: Pooled<Sqlite>,
    },
}

/// Runs one body on the pool of whichever engine it is: `on_db!(&db, pool => …)` for reading,
/// `on_db!(write &db, pool => …)` for writing. The body is compiled once for each engine.
#[macro_export]
macro_rules! on_db {
    (write $db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::Db::Postgres($pool) => $body,
            $crate::Db::Sqlite { write: $pool, .. } => $body,
        }
    };
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::Db::Postgres($pool) => $body,
            $crate::Db::Sqlite { read: $pool, .. } => $body,
        }
    };
}

/// Runs one body on the connection of a transaction: `on_tx!(&mut tx, connection => …)`, where
/// `connection` is a `&mut Session<Postgres>` or a `&mut Session<Sqlite>`.
#[macro_export]
macro_rules! on_tx {
    ($tx:expr, $connection:ident => $body:expr) => {
        match $tx {
            $crate::Tx::Postgres(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
            $crate::Tx::Sqlite(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
        }
    };
}

impl Db {
    /// A writing transaction: READ COMMITTED on PostgreSQL, the one writer on SQLite.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Postgres(pool) => Tx::Postgres(Transaction::begin(pool, BEGIN).await?),
            // Taking the write lock at once: a transaction that reads first and writes later is
            // refused by SQLite, without waiting, when another process wrote in between.
            Self::Sqlite { write, .. } => {
                Tx::Sqlite(Transaction::begin(write, "BEGIN IMMEDIATE").await?)
            }
        })
    }

    /// A reading transaction: all it reads is of one moment, that of its first statement.
    pub async fn snapshot(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Postgres(pool) => {
                let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE";
                let mut transaction = Transaction::begin(pool, sql).await?;
                // It blocks no other transaction, so it may be idle for longer than one that writes.
                let idle = "SET LOCAL idle_in_transaction_session_timeout = '60s'";
                (&mut *transaction).execute(idle).await?;
                Tx::Postgres(transaction)
            }
            Self::Sqlite { read, .. } => Tx::Sqlite(Transaction::begin(read, "BEGIN").await?),
        })
    }

    /// Connections that one writer may use at the same time without blocking all other callers; 0 on SQLite, which
    /// has one for all.
    pub fn spare(&self) -> usize {
        match self {
            Self::Postgres(pool) => {
                usize::try_from(pool.max_connections().saturating_sub(1)).unwrap_or(0)
            }
            Self::Sqlite { .. } => 0,
        }
    }

    /// Whether several processes may use it at the same time: a SQLite file belongs to one.
    pub const fn is_shared(&self) -> bool {
        self.is_postgres()
    }

    /// Whether this is PostgreSQL.
    pub const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The engine as interfaces name it.
    pub(crate) const fn engine_name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgresql",
            Self::Sqlite { .. } => "sqlite",
        }
    }

    /// An SQL expression for the database's clock, in microseconds since 1970. It advances within a transaction.
    pub const fn now(&self) -> &'static str {
        match self {
            Self::Postgres(_) => POSTGRES_NOW,
            Self::Sqlite { .. } => SQLITE_NOW,
        }
    }

    /// Hands out no connection any more, from now on.
    pub(crate) fn shut(&self) {
        match self {
            Self::Postgres(pool) => drop(pool.close()),
            Self::Sqlite { write, read } => {
                drop(read.close());
                drop(write.close());
            }
        }
    }

    /// Waits for connections in use and closes them.
    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite { write, read } => {
                read.close().await;
                // The last connection to close checkpoints the write-ahead log into the file.
                write.close().await;
            }
        }
    }
}

/// A writing transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub enum Tx {
    /// On PostgreSQL.
    Postgres(Transaction<Postgres>),
    /// On SQLite.
    Sqlite(Transaction<Sqlite>),
}

impl Tx {
    /// Commits. After an error the transaction may be committed or not.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(transaction) => transaction.commit().await?,
            Self::Sqlite(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    /// An SQL expression for the database's clock, as [`Db::now`].
    pub const fn now(&self) -> &'static str {
        match self {
            Self::Postgres(_) => POSTGRES_NOW,
            Self::Sqlite(_) => SQLITE_NOW,
        }
    }

    /// Rolls back, and waits for it.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(transaction) => transaction.rollback().await?,
            Self::Sqlite(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }
}

/// The connection of writes other than appends: the pool, or SQLite's one writing connection.
#[derive(Debug, Clone)]
pub(crate) enum LogConnection {
    Postgres(Pooled<Postgres>),
    Sqlite(Writer),
}

/// Runs one body on a writing connection of the log: `on_writer!(&writer, connection => …)`.
macro_rules! on_writer {
    ($writer:expr, $connection:ident => $body:expr) => {
        match $writer {
            $crate::db::LogConnection::Postgres(pool) => {
                let mut acquired = pool.acquire().await?;
                let $connection = &mut *acquired;
                $body
            }
            $crate::db::LogConnection::Sqlite(writer) => {
                let mut writer = writer.lock().await;
                let $connection = writer.session().await?;
                $body
            }
        }
    };
}
pub(crate) use on_writer;
