//! How PostgreSQL is connected to: a pool for the log and one for the views, and the options that
//! the appender's own connection starts from.

use crate::error::StoreError;
use crate::options::StoreOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgPool};
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

/// What keeps a plan right for a table of every size. A plan is made once per connection and kept;
/// made while the table is small it would read all of it, and still do so when it is big. With
/// sequential scans and joins of whole tables forbidden, the indexes are used from the first row on.
/// JIT would be triggered by the made-up cost of what is forbidden.
pub(crate) const BY_INDEX: &str = "SET plan_cache_mode = force_generic_plan; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

fn pool_options(options: &StoreOptions) -> PgPoolOptions {
    PgPoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(
                async move { Ok(meta.idle_for < TRUSTED_FOR || connection.ping().await.is_ok()) },
            )
        })
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(Duration::from_mins(30))
}

/// For views and all that hangs on them. Opens its first connection when first asked for one.
pub(crate) fn views_pool(options: &StoreOptions) -> Result<PgPool, StoreError> {
    Ok(pool_options(options)
        .max_connections(options.read_connections.max(2))
        .connect_lazy_with(connect_options(options)?))
}

/// For the log, beside the appender's own connection.
pub(crate) fn log_pool(options: &StoreOptions) -> Result<PgPool, StoreError> {
    Ok(pool_options(options)
        .max_connections(options.log_connections.max(2))
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(BY_INDEX).await.map(|_| ()) })
        })
        .connect_lazy_with(connect_options(options)?))
}
