//! How PostgreSQL is connected to: a pool for the log and one for the views, and the options that
//! the appender's own connection starts from.

mod pooler;
mod schemas;
mod session_settings;

pub(crate) use session_settings::SessionSettings;

use super::Pooled;
use super::connection_guard::ConnectionGuard;
use super::sticky_connection::MAX_STICKY_CONNECTIONS;
use crate::error::StoreError;
use crate::options::StoreOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Postgres};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Prepared statements kept per connection; projections make their own SQL per view.
const STATEMENTS: usize = 256;
/// A connection that was idle for longer is pinged before it is used. A ping before every use would double the round
/// trips; no ping at all would hand out dead connections after a restart.
const PING_AFTER: Duration = Duration::from_secs(1);

/// How long the server may take to accept a session, and then to answer the first queries. A server on a busy machine
/// needs more than the time that a connection may be waited for.
const FIRST_QUERIES_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two tries to reach the server.
const RETRY: Duration = Duration::from_millis(100);

pub(crate) fn connect_options(options: &StoreOptions) -> Result<PgConnectOptions, StoreError> {
    let parsed: PgConnectOptions = options
        .url
        .parse()
        .map_err(|error| StoreError::Misconfigured(format!("the database's URL: {error}")))?;
    Ok(parsed.application_name(&options.application_name).statement_cache_capacity(STATEMENTS))
}

/// Makes sure that the server can be reached; a pool would only report that it waited. A refused connection is
/// tried again for as long as a connection may be waited for, a silent server gets [`FIRST_QUERIES_TIMEOUT`], and a
/// refusal by the server is final at once. Returns the settings of every session.
pub(crate) async fn reach(options: &StoreOptions) -> Result<SessionSettings, StoreError> {
    let connect = connect_options(options)?;
    let until = Instant::now() + options.acquire_timeout;
    loop {
        match timeout(FIRST_QUERIES_TIMEOUT, connect.connect()).await {
            Ok(Ok(connection)) => {
                let settings =
                    timeout(FIRST_QUERIES_TIMEOUT, first_queries(connection, &connect)).await;
                return settings.map_err(|_| unanswered(&connect))?;
            }
            Ok(Err(sqlx::Error::Io(error))) if Instant::now() + RETRY >= until => {
                let (host, port) = (connect.get_host(), connect.get_port());
                return Err(StoreError::Unavailable(format!("{host}:{port}: {error}")));
            }
            Ok(Err(sqlx::Error::Io(_))) => sleep(RETRY).await,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(unanswered(&connect)),
        }
    }
}

async fn first_queries(
    mut connection: PgConnection,
    connect: &PgConnectOptions,
) -> Result<SessionSettings, StoreError> {
    pooler::refuse_shared_sessions(&mut connection, connect).await?;
    let settings = SessionSettings::of(&mut connection).await?;
    connection.close().await?;
    Ok(settings)
}

fn unanswered(connect: &PgConnectOptions) -> StoreError {
    let (host, port) = (connect.get_host(), connect.get_port());
    StoreError::Unavailable(format!("{host}:{port} doesn't answer"))
}

/// Acknowledged commits are on the disk, whatever the server's settings; stronger settings stay. It is set in any case:
/// reloading the server's configuration changes every session that has no setting of its own.
pub(crate) const DURABILITY: &str = "SELECT set_config('synchronous_commit', \
    coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)";

/// Keeps plans right for tables of every size. A plan is made once per connection and kept; a plan
/// for a small table reads all of it, also once the table is large. With sequential scans and joins of whole tables
/// forbidden, the indexes are used from the first row on. The artificial cost of forbidden plans would trigger JIT.
pub(crate) const BY_INDEX: &str = "SET plan_cache_mode = force_generic_plan; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

/// A limit on idle time in a transaction, unless the database has one: a copy that was made without the database's own
/// settings lost it. Only the owner may set it, and the log works without. One session at a time does so (a lock of its
/// own), since PostgreSQL refuses two that alter the same database.
pub(crate) const LIMIT_SILENCE: &str = "DO $$
BEGIN
    PERFORM pg_advisory_xact_lock(7450199991742195570);
    -- What this session sets for itself doesn't count.
    IF (SELECT reset_val FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') = '0' AND NOT EXISTS (
        SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c
        WHERE d.datname = current_database() AND c LIKE 'idle_in_transaction_session_timeout=%'
    ) THEN
        EXECUTE format(
            'ALTER DATABASE %I SET idle_in_transaction_session_timeout = %L', current_database(), '5s'
        );
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'only the owner of the database can set idle_in_transaction_session_timeout';
END
$$";

/// When a pool last connected a session that takes no writes. Such a session stays read-only as long as it is
/// connected, also when the database takes writes again, so that the next command that gets it would be refused.
#[derive(Debug, Clone, Default)]
struct LastReadOnly(Arc<Mutex<Option<Instant>>>);

impl LastReadOnly {
    /// A read-only session is replaced at this age: reads may use it until then.
    const REPLACED_AT: Duration = Duration::from_millis(500);
    /// Between noting the time and the beginning of the session's age.
    const SLACK: Duration = Duration::from_secs(1);

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a session of this age is of such a time, and old enough to be replaced.
    fn includes(&self, age: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        age >= Self::REPLACED_AT && last.is_some_and(|last| age + Self::SLACK >= last.elapsed())
    }
}

fn pool_options(
    options: &StoreOptions,
    settings: String,
    guard: &Arc<dyn ConnectionGuard>,
) -> PgPoolOptions {
    let guard = Arc::clone(guard);
    let settings: Arc<str> = settings.into();
    let connected = LastReadOnly::default();
    let acquired = connected.clone();
    PgPoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let may_be_read_only = acquired.includes(meta.age);
            Box::pin(async move {
                Ok(!may_be_read_only
                    && (meta.idle_for < PING_AFTER || connection.ping().await.is_ok()))
            })
        })
        .after_connect(move |connection, _| {
            let (guard, settings) = (Arc::clone(&guard), Arc::clone(&settings));
            let connected = connected.clone();
            Box::pin(async move {
                connection.execute(settings.as_ref()).await?;
                let is_read_only = connection.fetch_one("SHOW transaction_read_only").await?;
                if sqlx::Row::try_get::<String, _>(&is_read_only, 0)? == "on" {
                    connected.note();
                }
                let verified = guard.verify(connection).await;
                verified.map_err(|error| sqlx::Error::Protocol(error.to_string()))
            })
        })
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(Duration::from_mins(30))
}

/// Keeps the plans of the views' statements right: their tables grow from nothing within seconds, so that each
/// statement is planned for the table as it is.
const BY_SIZE: &str = "SET plan_cache_mode = force_custom_plan";

/// The pool for views and the state of subscriptions. It opens its first connection when it is first used.
pub(crate) fn views_pool(
    options: &StoreOptions,
    session: &SessionSettings,
    guard: &Arc<dyn ConnectionGuard>,
) -> Result<Pooled<Postgres>, StoreError> {
    Ok(pool_options(options, session.with(&[BY_SIZE]), guard)
        .max_connections(options.read_connections.max(2))
        .connect_lazy_with(connect_options(options)?)
        .into())
}

/// The pool for the log, in addition to the appender's own connection.
pub(crate) fn log_pool(
    options: &StoreOptions,
    session: &SessionSettings,
    guard: &Arc<dyn ConnectionGuard>,
) -> Result<Pooled<Postgres>, StoreError> {
    Ok(pool_options(options, session.with(&[DURABILITY, BY_INDEX]), guard)
        .max_connections(options.log_connections.max(2).saturating_add(MAX_STICKY_CONNECTIONS))
        .connect_lazy_with(connect_options(options)?)
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn sessions_of_a_read_only_period_are_replaced_and_later_ones_are_not() {
        let times = LastReadOnly::default();
        assert!(!times.includes(Duration::from_hours(1)), "there was none");
        times.note();
        assert!(!times.includes(Duration::ZERO), "reads may use it at first");
        advance(Duration::from_mins(1)).await;
        for seconds in [60, 3600] {
            assert!(times.includes(Duration::from_secs(seconds)), "connected {seconds} s ago");
        }
        assert!(!times.includes(Duration::from_secs(50)), "connected when writes were taken");
    }
}
