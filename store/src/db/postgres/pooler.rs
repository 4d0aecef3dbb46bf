//! Refuses a pooler that gives a client another server session for each transaction: settings, prepared statements
//! and the end of a lost session belong to one server session each.

use crate::error::ServerFault;
use crate::error::StoreError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use std::time::Duration;
use tokio::time::timeout;

const PID: &str = "SELECT pg_backend_pid()";
/// While one session connects or answers, the other one is idle, which a default of the database may limit. Behind a
/// pooler in transaction mode the setting stays in a server session, where it does no harm.
const UNLIMITED: &str = "SET idle_session_timeout = 0";
/// The same inside the transaction, and for it alone.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// How long connecting a second session may take.
const SECOND_SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// How long the first one may take to answer while the second one is in a transaction.
const FIRST_SESSION_TIMEOUT: Duration = Duration::from_secs(3);

/// Refuses a pooler in transaction mode. Two connections that are open at once have two server sessions, each one the
/// same all the time; behind such a pooler they share sessions, alternate between them, or wait for each other.
pub(super) async fn refuse_shared_sessions(
    first: &mut PgConnection,
    connect: &PgConnectOptions,
) -> Result<(), StoreError> {
    first.execute(UNLIMITED).await?;
    let (of_first, again) = (pid(first).await?, pid(first).await?);
    let began = timeout(SECOND_SESSION_TIMEOUT, begin_second(connect)).await;
    let (mut second, of_second) = began.map_err(|_| no_second_session())??;
    let Ok(meanwhile) = timeout(FIRST_SESSION_TIMEOUT, pid(first)).await else {
        return Err(refusal());
    };
    second.execute("ROLLBACK").await?;
    let firsts = [again, meanwhile?, pid(first).await?];
    let seconds = [pid(&mut second).await?, pid(&mut second).await?];
    second.close().await?;
    let are_own = of_first != of_second
        && firsts.iter().all(|pid| *pid == of_first)
        && seconds.iter().all(|pid| *pid == of_second);
    if are_own { Ok(()) } else { Err(refusal()) }
}

/// A second connection in a transaction, and its server session.
async fn begin_second(connect: &PgConnectOptions) -> Result<(PgConnection, i32), StoreError> {
    let mut second = connect.connect().await?;
    second.execute(UNLIMITED).await?;
    second.execute(BEGIN).await?;
    let pid = pid(&mut second).await?;
    Ok((second, pid))
}

async fn pid(connection: &mut PgConnection) -> Result<i32, StoreError> {
    // Not prepared: behind such a pooler that alone fails.
    let row = connection.fetch_one(PID).await?;
    Ok(sqlx::Row::try_get(&row, 0)?)
}

fn no_second_session() -> StoreError {
    let why = format!("a second session didn't come within {SECOND_SESSION_TIMEOUT:?}");
    StoreError::Server { fault: ServerFault::NoConnectionLeft, why }
}

fn refusal() -> StoreError {
    StoreError::Misconfigured(
        "there is a pooler in transaction mode before PostgreSQL, which the market can't work behind: \
         connect to PostgreSQL itself, or set the pooler's mode to session"
            .to_owned(),
    )
}
