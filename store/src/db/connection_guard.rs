//! The guard that the owner of a log gives to its connections, so that they serve no other log: it verifies each new
//! connection and is notified of each error.

use crate::error::StoreError;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use std::fmt;

/// Decides whether a connection leads to the log that this process opened. This module knows only
/// connections; the implementation knows the log.
pub(crate) trait ConnectionGuard: fmt::Debug + Send + Sync {
    /// Verifies a PostgreSQL connection that was just made, before anything is read or written through it.
    fn verify<'c>(
        &'c self,
        connection: &'c mut PgConnection,
    ) -> BoxFuture<'c, Result<(), StoreError>>;

    /// Takes note of an error: a damaged file and a failed sync end the use of the log.
    fn notice(&self, error: &StoreError);
}

/// The guard of tests that open one log only.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct AcceptAll;

#[cfg(test)]
impl ConnectionGuard for AcceptAll {
    fn verify<'c>(
        &'c self,
        _connection: &'c mut PgConnection,
    ) -> BoxFuture<'c, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn notice(&self, _error: &StoreError) {}
}
