//! Where numbers are drawn from: a row per kind with the last that was drawn. Only the drawer next door
//! asks; an error means that the connection must be let go.

use crate::db::LogConnection;
use crate::db::sqlite::Writer;
use crate::db::sticky_connection::StickyConnection;
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
use sqlx::Postgres;
use std::ops::Range;
use std::sync::Arc;

const TAKE: &str = "INSERT INTO numbers (kind, last) VALUES ($1, $2) \
    ON CONFLICT (kind) DO UPDATE SET last = numbers.last + excluded.last RETURNING last";
/// Only what nobody drew after: else the numbers are lost.
const PUT_BACK: &str = "UPDATE numbers SET last = $2 WHERE kind = $1 AND last = $3";

/// What numbers are drawn from.
pub(super) enum Sequence {
    Postgres(StickyConnection<Postgres>),
    Sqlite(Writer, LogIdentityGuard),
}

impl Sequence {
    pub(super) fn of(writer: &LogConnection, continuity: &LogIdentityGuard) -> Self {
        match writer {
            LogConnection::Postgres(pool) => Self::Postgres(StickyConnection::new(pool.clone())),
            LogConnection::Sqlite(writer) => Self::Sqlite(Arc::clone(writer), continuity.clone()),
        }
    }

    /// So many new numbers.
    pub(super) async fn take(&mut self, kind: &str, count: i64) -> Result<Range<i64>, StoreError> {
        // All rows, though it is one: on SQLite a commit that fails is told at the statement's end only.
        let last: Vec<i64> = match self {
            Self::Postgres(connection) => {
                let query = sqlx::query_scalar(TAKE).bind(kind).bind(count);
                query.fetch_all(connection.get().await?).await?
            }
            Self::Sqlite(writer, continuity) => {
                let query = sqlx::query_scalar(TAKE).bind(kind).bind(count);
                let drawn = query.fetch_all(writer.lock().await.session().await?).await;
                drawn.map_err(|error| noticed(error, continuity))?
            }
        };
        let last = last.first().copied().ok_or(sqlx::Error::RowNotFound)?;
        Ok(last - count + 1..last + 1)
    }

    /// Puts the last numbers that were taken back.
    pub(super) async fn put_back(
        &mut self,
        kind: &str,
        numbers: Range<i64>,
    ) -> Result<(), StoreError> {
        let (before, last) = (numbers.start - 1, numbers.end - 1);
        match self {
            Self::Postgres(connection) => {
                let query = sqlx::query(PUT_BACK).bind(kind).bind(before).bind(last);
                query.execute(connection.get().await?).await?;
            }
            Self::Sqlite(writer, continuity) => {
                let query = sqlx::query(PUT_BACK).bind(kind).bind(before).bind(last);
                let put_back = query.execute(writer.lock().await.session().await?).await;
                put_back.map_err(|error| noticed(error, continuity))?;
            }
        }
        Ok(())
    }

    /// Others may use the connection.
    pub(super) fn let_go(&mut self) {
        if let Self::Postgres(connection) = self {
            connection.release();
        }
    }
}

/// A log that failed to sync ends, whoever wrote.
fn noticed(error: sqlx::Error, continuity: &LogIdentityGuard) -> StoreError {
    let error = StoreError::from(error);
    continuity.notice(&error);
    error
}
