//! A transaction on a session of a pool. Its state is always known: where BEGIN, COMMIT or ROLLBACK doesn't succeed,
//! the session closes.

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

/// How long the rollback of a dropped transaction may take before the session is closed instead.
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
    /// Begins in a task of its own: dropped between BEGIN and its answer, this future would leave the connection in a
    /// transaction that no one knows of. On SQLite no other caller could write any more; on PostgreSQL the next
    /// statement outside of a transaction would be committed with a later transaction or never. A transaction whose
    /// caller went away is rolled back.
    pub(super) async fn begin(pool: &Pooled<D>, sql: &'static str) -> Result<Self, StoreError> {
        let pool = pool.clone();
        let transaction = tokio::spawn(async move {
            let mut session = pool.acquire().await?;
            session.transaction_control(sql).await?;
            Ok::<_, Error>(Self(guard(session, roll_back)))
        });
        Ok(transaction.await.map_err(|error| StoreError::Unavailable(error.to_string()))??)
    }

    /// Commits. After an error the transaction may be committed or not.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(ScopeGuard::into_inner(self.0).transaction_control("COMMIT").await?)
    }

    /// Rolls back, and waits for it.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        Ok(ScopeGuard::into_inner(self.0).transaction_control("ROLLBACK").await?)
    }
}

/// Rolls a dropped transaction back. A session that had an error, or may have missed one, closes instead.
fn roll_back<D: Engine>(mut session: Session<D>) {
    match Handle::try_current() {
        Ok(runtime) if !session.is_discarded() && !session.was_exposed() => {
            runtime.spawn(async move {
                // Without an answer in time the session is closed as it is dropped.
                drop(timeout(ROLLBACK_TIMEOUT, session.transaction_control("ROLLBACK")).await);
            });
        }
        _ => session.discard(),
    }
}
