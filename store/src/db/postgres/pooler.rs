//! A pooler that gives a client another server session for each transaction can't be worked with: settings, prepared
//! statements and the end of a lost session belong to one server session each.

use crate::error::StoreError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};

const PID: &str = "SELECT pg_backend_pid()";

/// Refuses a pooler in transaction mode. Two connections that are open at once have two server sessions; behind such
/// a pooler the second one gets the session that the first one has just let go.
pub(super) async fn refuse_shared_sessions(
    first: &mut PgConnection,
    connect: &PgConnectOptions,
) -> Result<(), StoreError> {
    let before = pid(first).await?;
    let mut second = connect.connect().await?;
    second.execute("BEGIN").await?;
    let other = pid(&mut second).await?;
    let after = pid(first).await?;
    second.execute("ROLLBACK").await?;
    second.close().await?;
    if before == other || before != after { Err(refusal()) } else { Ok(()) }
}

async fn pid(connection: &mut PgConnection) -> Result<i32, StoreError> {
    // Not prepared: behind such a pooler that alone fails.
    let row = connection.fetch_one(PID).await?;
    Ok(sqlx::Row::try_get(&row, 0)?)
}

fn refusal() -> StoreError {
    StoreError::Misconfigured(
        "between here and PostgreSQL stands a pooler in transaction mode, which the market can't work behind: \
         connect to PostgreSQL itself, or set the pooler's mode to session"
            .to_owned(),
    )
}
