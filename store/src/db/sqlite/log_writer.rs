//! The one connection that writes to `log.db`, and the session that it consists of.

use super::{File, retry_while_busy};
use crate::db::session::Session;
use crate::error::StoreError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, Sqlite, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The one connection of this process that writes to `log.db`, one caller at a time. Several connections would poll for
/// SQLite's write lock, and a pool would ping a connection after every use.
pub(crate) type Writer = Arc<Mutex<LogWriterConnection>>;

/// A connection outside of all pools.
pub(crate) type OwnSession = Session<Sqlite, Box<SqliteConnection>>;

/// The writing connection. It is opened again after an error that leaves its state unknown.
#[derive(Debug)]
pub(crate) struct LogWriterConnection {
    folder: PathBuf,
    open: OwnSession,
}

impl LogWriterConnection {
    async fn connect(folder: &Path) -> Result<Self, StoreError> {
        let open = connect_writer(folder).await?;
        Ok(Self { folder: folder.to_owned(), open })
    }

    /// The session, for one statement or to begin a transaction: another one if the last can't be used any more.
    pub(crate) async fn session(&mut self) -> Result<&mut OwnSession, StoreError> {
        if self.open.is_discarded() {
            self.reconnect().await?;
        }
        Ok(&mut self.open)
    }

    /// The session as it is, for statements of a transaction that began on it.
    pub(crate) const fn within(&mut self) -> &mut OwnSession {
        &mut self.open
    }

    /// Takes another connection. The old one closes as it is dropped; its transaction, if any, is rolled back.
    pub(crate) async fn reconnect(&mut self) -> Result<(), StoreError> {
        self.open = connect_writer(&self.folder).await?;
        Ok(())
    }
}

/// The log's writing connection of this process.
pub(crate) async fn writer(folder: &Path) -> Result<Writer, StoreError> {
    Ok(Arc::new(Mutex::new(LogWriterConnection::connect(folder).await?)))
}

pub(super) async fn connect_writer(folder: &Path) -> Result<OwnSession, StoreError> {
    let options = File::Log.write_options(folder);
    let connected = retry_while_busy(|| options.connect()).await;
    let connection = connected.map_err(|error| error.in_file(&File::Log.path(folder)))?;
    Ok(Session::new(Box::new(connection)))
}

/// A writer for a log that isn't written: an empty database in memory.
pub(crate) async fn no_writer(folder: &Path) -> Result<Writer, StoreError> {
    let open = Session::new(Box::new(in_memory().await?));
    Ok(Arc::new(Mutex::new(LogWriterConnection { folder: folder.to_owned(), open })))
}

async fn in_memory() -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new().in_memory(true).connect().await
}

/// Closes the writing connection, although other callers still share it: the last connection checkpoints the
/// write-ahead log into the file and removes it.
pub(crate) async fn close_writer(writer: &Writer) {
    let mut connection = writer.lock().await;
    let closed = match in_memory().await {
        Ok(empty) => std::mem::replace(&mut **connection.within(), empty).close().await,
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        tracing::warn!(%error, "closing the log");
    }
}
