//! The appender's own connection. A transaction of a lost connection may still commit on the server, so the old
//! backend is ended, and has to be gone, before a new connection is used.

use super::super::writer::{WriteFault, WriteResult};
use crate::db::postgres::{BY_INDEX, DURABILITY, SessionSettings};
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an old backend may take to end.
const BACKEND_END: Duration = Duration::from_secs(2);
/// Between two checks whether it has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// A writer that holds the lock and went silent must not block all others for long.
const TIME_LIMITS: &str = "SET lock_timeout = '2s'; SET statement_timeout = '5s'";
/// One server process. Its number may be used again, so its start is compared too.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Backend {
    pid: i32,
    started: String,
}

/// The connection, if there is one, and the backends of lost ones.
pub(super) struct WriteConnection {
    options: PgConnectOptions,
    /// The settings of each session.
    settings: String,
    guard: LogIdentityGuard,
    open: Option<(PgConnection, Backend)>,
    old: Vec<Backend>,
}

impl WriteConnection {
    pub(super) fn new(
        options: PgConnectOptions,
        session: &SessionSettings,
        guard: LogIdentityGuard,
    ) -> Self {
        let settings = session.with(&[TIME_LIMITS, DURABILITY, BY_INDEX]);
        Self { options, settings, guard, open: None, old: Vec::new() }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Drops the connection; its backend is ended before the next one is used.
    pub(super) fn forget(&mut self) {
        if let Some((connection, backend)) = self.open.take() {
            drop(connection);
            self.old.push(backend);
        }
    }

    /// The connection, made if there is none. Failing to get one is no loss: nothing was sent.
    pub(super) async fn open(&mut self) -> WriteResult<&mut PgConnection> {
        if self.open.is_none() {
            let unavailable = |error: sqlx::Error| WriteFault::Unavailable(error.to_string());
            let connecting = timeout(CONNECT, connect(&self.options, &self.settings)).await;
            let (mut connection, backend) = connecting
                .map_err(|_| WriteFault::Unavailable(format!("no connection within {CONNECT:?}")))?
                .map_err(unavailable)?;
            while let Some(old) = self.old.last() {
                end(&mut connection, old).await?;
                self.old.pop();
            }
            // Nothing is written into a log that lacks an event that this process knows of.
            let verified = self.guard.verify(&mut connection).await;
            verified.map_err(|error| match error {
                StoreError::Damaged(why) => WriteFault::Damaged(why),
                other => WriteFault::Unavailable(other.to_string()),
            })?;
            self.open = Some((connection, backend));
        }
        match &mut self.open {
            Some((connection, _)) => Ok(connection),
            None => Err(WriteFault::Unavailable("no connection".to_owned())),
        }
    }
}

async fn connect(
    options: &PgConnectOptions,
    settings: &str,
) -> Result<(PgConnection, Backend), sqlx::Error> {
    let mut connection = options.connect().await?;
    connection.execute(settings).await?;
    let sql = "SELECT pid, backend_start::text FROM pg_stat_activity \
               WHERE pid = pg_backend_pid()";
    let (pid, started) = sqlx::query_as(sql).fetch_one(&mut connection).await?;
    Ok((connection, Backend { pid, started }))
}

/// Ends a backend and waits until it is gone: then its transaction is over, one way or the other.
async fn end(connection: &mut PgConnection, old: &Backend) -> WriteResult<()> {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE pid = $1 AND backend_start::text = $2";
    let deadline = Instant::now() + BACKEND_END;
    loop {
        let query = sqlx::query_scalar::<_, i64>(sql).bind(old.pid).bind(&old.started);
        let there = timeout(BACKEND_END, query.fetch_one(&mut *connection)).await;
        match there {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(_)) if Instant::now() < deadline => sleep(PAUSE).await,
            Ok(Err(error)) => return Err(WriteFault::Unavailable(error.to_string())),
            Ok(Ok(_)) | Err(_) => {
                return Err(WriteFault::Unavailable("the old connection doesn't end".to_owned()));
            }
        }
    }
}
