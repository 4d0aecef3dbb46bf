//! The rows that numbers are allocated from: one per kind, with the last number that was allocated.

use crate::db::LogConnection;
use crate::db::sqlite::Writer;
use crate::db::sticky_connection::StickyConnection;
use crate::error::StoreError;
use crate::log::identity_guard::LogIdentityGuard;
use sqlx::Postgres;
use std::ops::Range;
use std::sync::Arc;

const ALLOCATE: &str = "INSERT INTO numbers (kind, last) VALUES ($1, $2) \
    ON CONFLICT (kind) DO UPDATE SET last = numbers.last + excluded.last RETURNING last";
/// Only where none was allocated after them: else the numbers are lost.
const RETURN: &str = "UPDATE numbers SET last = $2 WHERE kind = $1 AND last = $3";

/// The sequences of one log, one for each kind. Only the allocator uses them; after an error it must release the
/// connection.
pub(super) enum Sequence {
    Postgres(StickyConnection<Postgres>),
    Sqlite(Writer, LogIdentityGuard),
}

impl Sequence {
    pub(super) fn of(connection: &LogConnection, guard: &LogIdentityGuard) -> Self {
        match connection {
            LogConnection::Postgres(pool) => Self::Postgres(StickyConnection::new(pool.clone())),
            LogConnection::Sqlite(writer) => Self::Sqlite(Arc::clone(writer), guard.clone()),
        }
    }

    /// Allocates `count` numbers of a kind.
    pub(super) async fn allocate(
        &mut self,
        kind: &str,
        count: i64,
    ) -> Result<Range<i64>, StoreError> {
        // All rows are fetched, although there is one: SQLite reports a commit that fails at the statement's end only.
        let last: Vec<i64> = match self {
            Self::Postgres(connection) => {
                let query = sqlx::query_scalar(ALLOCATE).bind(kind).bind(count);
                query.fetch_all(connection.get().await?).await?
            }
            Self::Sqlite(writer, guard) => {
                let query = sqlx::query_scalar(ALLOCATE).bind(kind).bind(count);
                let last = query.fetch_all(writer.lock().await.session().await?).await;
                last.map_err(|error| noticed(error, guard))?
            }
        };
        let last = last.first().copied().ok_or(sqlx::Error::RowNotFound)?;
        Ok(last - count + 1..last + 1)
    }

    /// Returns the last numbers that were allocated, so that they are allocated again.
    pub(super) async fn return_numbers(
        &mut self,
        kind: &str,
        numbers: Range<i64>,
    ) -> Result<(), StoreError> {
        let (before, last) = (numbers.start - 1, numbers.end - 1);
        match self {
            Self::Postgres(connection) => {
                let query = sqlx::query(RETURN).bind(kind).bind(before).bind(last);
                query.execute(connection.get().await?).await?;
            }
            Self::Sqlite(writer, guard) => {
                let query = sqlx::query(RETURN).bind(kind).bind(before).bind(last);
                let returned = query.execute(writer.lock().await.session().await?).await;
                returned.map_err(|error| noticed(error, guard))?;
            }
        }
        Ok(())
    }

    /// Gives the connection back to the pool.
    pub(super) fn release(&mut self) {
        if let Self::Postgres(connection) = self {
            connection.release();
        }
    }
}

/// The error, reported to the guard: a log that failed to sync ends, whichever write met it.
fn noticed(error: sqlx::Error, guard: &LogIdentityGuard) -> StoreError {
    let error = StoreError::from(error);
    guard.notice(&error);
    error
}
