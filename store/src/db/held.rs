//! A pool's connection that a task keeps while it is busy. After every use a pool asks a connection
//! whether it is still alive: a round trip for nothing where the next question comes at once.

use super::{Db, Pooled, Session};
use sqlx::{Database, Postgres, Sqlite};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Tasks that may hold a connection of the log's pool at once: one reads receipts, two read streams, and
/// one draws numbers. The pool has room for them beside everybody else.
pub(crate) const HOLDERS: u32 = 4;
/// How long it is kept without a question.
const KEPT_FOR: Duration = Duration::from_millis(100);
/// How long it is kept in all: its age is the pool's matter.
const AT_MOST: Duration = Duration::from_mins(1);

/// A connection, or none while nobody asks.
#[derive(Debug)]
pub(crate) struct Held<DB: Database> {
    pool: Pooled<DB>,
    /// With the time since when.
    connection: Option<(Session<DB>, Instant)>,
}

impl<DB: Database> Held<DB> {
    pub(crate) const fn new(pool: Pooled<DB>) -> Self {
        Self { pool, connection: None }
    }

    /// The connection, from the pool if none is kept. One that fails must go back: [`Held::give_back`].
    pub(crate) async fn get(&mut self) -> Result<&mut Session<DB>, sqlx::Error> {
        let is_good = |(session, since): &(Session<DB>, Instant)| {
            since.elapsed() < AT_MOST && !session.is_discarded() && !self.pool.is_closed()
        };
        let kept = match self.connection.take().filter(is_good) {
            Some(kept) => kept,
            None => (self.pool.acquire().await?, Instant::now()),
        };
        let (connection, _) = self.connection.insert(kept);
        Ok(connection)
    }

    /// The pool looks whether it is any good, as after every use.
    pub(crate) fn give_back(&mut self) {
        self.connection = None;
    }
}

/// A connection to read with, on either engine.
#[derive(Debug)]
pub(crate) enum HeldReader {
    Postgres(Held<Postgres>),
    Sqlite(Held<Sqlite>),
}

impl HeldReader {
    pub(crate) fn of(db: &Db) -> Self {
        match db {
            Db::Postgres(pool) => Self::Postgres(Held::new(pool.clone())),
            Db::Sqlite { read, .. } => Self::Sqlite(Held::new(read.clone())),
        }
    }

    pub(crate) fn give_back(&mut self) {
        match self {
            Self::Postgres(held) => held.give_back(),
            Self::Sqlite(held) => held.give_back(),
        }
    }
}

/// Waits for what comes next; who waits long keeps no connection from others meanwhile: `quiet` gives
/// it back, and what comes meanwhile waits for that.
pub(crate) async fn next<T>(comes: impl Future<Output = T>, quiet: impl Future<Output = ()>) -> T {
    tokio::pin!(comes);
    if let Ok(came) = timeout(KEPT_FOR, &mut comes).await {
        return came;
    }
    quiet.await;
    comes.await
}
