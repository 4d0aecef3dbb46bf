//! A pool's connection that a task keeps while it is busy. After every use a pool pings a connection to see whether it
//! is still alive: a wasted round trip where the next query follows at once.

use super::{Db, Pooled, Session};
use sqlx::{Database, Postgres, Sqlite};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Tasks that may keep a connection of the log's pool at the same time: one reads receipts, two read streams, and
/// one allocates numbers. The pool has room for them in addition to all other callers.
pub(crate) const MAX_STICKY_CONNECTIONS: u32 = 4;
/// How long a connection is kept without a query.
const MAX_IDLE: Duration = Duration::from_millis(100);
/// How long a connection is kept in all: the pool decides when it is too old.
const MAX_KEPT: Duration = Duration::from_mins(1);

/// A connection, or none while it isn't needed.
#[derive(Debug)]
pub(crate) struct StickyConnection<DB: Database> {
    pool: Pooled<DB>,
    /// With the time since when it is kept.
    connection: Option<(Session<DB>, Instant)>,
}

impl<DB: Database> StickyConnection<DB> {
    pub(crate) const fn new(pool: Pooled<DB>) -> Self {
        Self { pool, connection: None }
    }

    /// The connection, from the pool if none is kept. One that fails must go back: [`StickyConnection::release`].
    pub(crate) async fn get(&mut self) -> Result<&mut Session<DB>, sqlx::Error> {
        let is_usable = |(session, since): &(Session<DB>, Instant)| {
            since.elapsed() < MAX_KEPT && !session.is_discarded() && !self.pool.is_closed()
        };
        let kept = match self.connection.take().filter(is_usable) {
            Some(kept) => kept,
            None => (self.pool.acquire().await?, Instant::now()),
        };
        let (connection, _) = self.connection.insert(kept);
        Ok(connection)
    }

    /// Gives the connection back. The pool checks whether it still works, as after every use.
    pub(crate) fn release(&mut self) {
        self.connection = None;
    }
}

/// A connection to read with, on either engine.
#[derive(Debug)]
pub(crate) enum StickyReader {
    Postgres(StickyConnection<Postgres>),
    Sqlite(StickyConnection<Sqlite>),
}

impl StickyReader {
    pub(crate) fn of(db: &Db) -> Self {
        match db {
            Db::Postgres(pool) => Self::Postgres(StickyConnection::new(pool.clone())),
            Db::Sqlite { read, .. } => Self::Sqlite(StickyConnection::new(read.clone())),
        }
    }

    pub(crate) fn release(&mut self) {
        match self {
            Self::Postgres(connection) => connection.release(),
            Self::Sqlite(connection) => connection.release(),
        }
    }
}

/// Waits for the next request. A task that waits long keeps no connection from others meanwhile: `release` gives it
/// back, and a request that comes during that waits for its end.
pub(crate) async fn next_or_release<T>(
    request: impl Future<Output = T>,
    release: impl Future<Output = ()>,
) -> T {
    tokio::pin!(request);
    if let Ok(received) = timeout(MAX_IDLE, &mut request).await {
        return received;
    }
    release.await;
    request.await
}
