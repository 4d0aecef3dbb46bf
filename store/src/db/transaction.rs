//! A transaction on a session of a pool. Its state is always known: where BEGIN, COMMIT or ROLLBACK isn't answered
//! with success, the session is closed.

use super::pooled::Pooled;
use super::session::{Engine, Session};
use crate::error::StoreError;
use scopeguard::{ScopeGuard, guard};
use sqlx::{Database, Error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a rollback that nobody waits for may take before the session is closed instead.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(5);

/// A transaction. Dropped without `commit`, it is rolled back.
pub struct Transaction<D: Database>(ScopeGuard<Session<D>, fn(Session<D>)>);

impl<D: Database> fmt::Debug for Transaction<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transaction").field(&*self.0).finish()
    }
}

impl<D: Database> Deref for Transaction<D> {
    type Target = Session<D>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<D: Database> DerefMut for Transaction<D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<D: Engine> Transaction<D> {
    /// Begins in a task of its own: dropped between BEGIN and its answer, it would leave the connection in the
    /// transaction without anybody knowing. On SQLite nobody could write any more; on PostgreSQL what is
    /// written next on its own would be committed with a later transaction or never. A transaction
    /// that is begun and taken by nobody is rolled back.
    pub(super) async fn begin(pool: &Pooled<D>, sql: &'static str) -> Result<Self, StoreError> {
        let pool = pool.clone();
        let begun = tokio::spawn(async move {
            let mut session = pool.acquire().await?;
            session.turn(sql).await?;
            Ok::<_, Error>(Self(guard(session, roll_back)))
        });
        Ok(begun.await.map_err(|error| StoreError::Unavailable(error.to_string()))??)
    }

    /// Makes it lasting. After an error it may be or not.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(ScopeGuard::into_inner(self.0).turn("COMMIT").await?)
    }

    /// Undoes all of it, now.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        Ok(ScopeGuard::into_inner(self.0).turn("ROLLBACK").await?)
    }
}

/// Rolls back what was dropped. A session that had an error, or may have had one unseen, closes instead.
fn roll_back<D: Engine>(mut session: Session<D>) {
    match Handle::try_current() {
        Ok(runtime) if !session.is_discarded() && !session.was_exposed() => {
            runtime.spawn(async move {
                // Without an answer in time the session is closed as it is dropped.
                drop(timeout(ROLLBACK_TIMEOUT, session.turn("ROLLBACK")).await);
            });
        }
        _ => session.discard(),
    }
}
