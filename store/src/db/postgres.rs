//! How PostgreSQL is connected to: one pool for everything but appending, and the options that the
//! appender's own connection starts from.

use crate::error::StoreError;
use crate::options::StoreOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use std::time::Duration;

/// Prepared statements kept per connection; projections make their own SQL per view.
const STATEMENTS: usize = 256;
/// After this much idling a connection is asked whether it is still alive before it is used. A ping
/// before every use would double the round trips, none would hand out the dead after a restart.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

pub(crate) fn connect_options(options: &StoreOptions) -> Result<PgConnectOptions, StoreError> {
    let parsed: PgConnectOptions = options
        .url
        .parse()
        .map_err(|error| StoreError::Misconfigured(format!("the database's URL: {error}")))?;
    Ok(parsed.application_name(&options.application_name).statement_cache_capacity(STATEMENTS))
}

/// The pool opens its first connection when it is first asked for one.
pub(crate) fn pool(options: &StoreOptions) -> Result<PgPool, StoreError> {
    Ok(PgPoolOptions::new()
        .max_connections(options.read_connections.max(2))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(
                async move { Ok(meta.idle_for < TRUSTED_FOR || connection.ping().await.is_ok()) },
            )
        })
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(Duration::from_mins(30))
        .connect_lazy_with(connect_options(options)?))
}
