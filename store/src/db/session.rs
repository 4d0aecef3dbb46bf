//! A database session that watches its errors: after an error that leaves its state unknown, or that keeps it from
//! doing its work, the session closes instead of going back into its pool.
//!
//! SQLite ends a transaction by itself after some errors (disk full, I/O error, out of memory, interrupt), and sqlx
//! doesn't notice. PostgreSQL keeps a session that was connected while the database took no writes read-only until
//! it is closed. A pool that takes such a session back returns the same error from it again and again.

use futures::TryStreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::{
    Database, Describe, Either, Error, Execute, Executor, Postgres, Sqlite, SqliteConnection,
};
use std::future::{Future, ready};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A connection that knows whether it may be used again. `C` is where it comes from: a pool, or nowhere.
#[derive(Debug)]
pub struct Session<D: Database, C: Closes<D> = PoolConnection<D>> {
    connection: C,
    must_close: bool,
    /// The connection was borrowed without this type in between, so that it may have missed errors.
    was_exposed: bool,
    database: PhantomData<fn() -> D>,
}

/// One of the two engines, for code that is the same on both.
pub trait Engine: Database {
    /// Runs a statement without parameters.
    fn run<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
    ) -> BoxFuture<'c, Result<(), Error>>;
}

impl Engine for Postgres {
    fn run<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
    ) -> BoxFuture<'c, Result<(), Error>> {
        Box::pin(async move { connection.execute(sql).await.map(drop) })
    }
}

impl Engine for Sqlite {
    fn run<'c>(
        connection: &'c mut Self::Connection,
        sql: &'static str,
    ) -> BoxFuture<'c, Result<(), Error>> {
        Box::pin(async move { connection.execute(sql).await.map(drop) })
    }
}

/// A connection that can be kept from being used again.
pub trait Closes<D: Database>:
    DerefMut<Target = D::Connection> + std::fmt::Debug + Send + 'static
{
    /// Makes sure that this connection is closed when it is dropped.
    fn close_on_drop(&mut self);
}

impl<D: Database> Closes<D> for PoolConnection<D> {
    fn close_on_drop(&mut self) {
        PoolConnection::close_on_drop(self);
    }
}

/// A connection outside of all pools closes when it is dropped in any case.
impl Closes<Sqlite> for Box<SqliteConnection> {
    fn close_on_drop(&mut self) {}
}

impl<D: Database, C: Closes<D>> Session<D, C> {
    pub(crate) const fn new(connection: C) -> Self {
        Self { connection, must_close: false, was_exposed: false, database: PhantomData }
    }

    /// Closes the session when it is dropped; until then it refuses every statement.
    pub(crate) const fn discard(&mut self) {
        self.must_close = true;
    }

    /// Whether it must not be used again.
    pub(crate) const fn is_discarded(&self) -> bool {
        self.must_close
    }

    /// Whether it was used in a way that hides errors from it.
    pub(crate) const fn was_exposed(&self) -> bool {
        self.was_exposed
    }
}

impl<D: Engine, C: Closes<D>> Session<D, C> {
    /// Runs a statement that begins or ends a transaction. Without an answer, and after any error, the state of the
    /// session is unknown, and it closes.
    pub(crate) async fn transaction_control(&mut self, sql: &'static str) -> Result<(), Error> {
        if self.must_close {
            return Err(closed_after_error());
        }
        self.must_close = true;
        D::run(&mut self.connection, sql).await?;
        self.must_close = false;
        Ok(())
    }
}

fn closed_after_error() -> Error {
    Error::Protocol("the session was closed after an error".to_owned())
}

impl<D: Database, C: Closes<D>> Drop for Session<D, C> {
    fn drop(&mut self) {
        if self.must_close {
            self.connection.close_on_drop();
        }
    }
}

impl<D: Database, C: Closes<D>> Deref for Session<D, C> {
    type Target = D::Connection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<D: Database, C: Closes<D>> DerefMut for Session<D, C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.was_exposed = true;
        &mut self.connection
    }
}

type Step<D> = Either<<D as Database>::QueryResult, <D as Database>::Row>;

// For each engine by itself: the compiler can't see that a condition over all connections ends.
macro_rules! watch {
    ($engine:ident) => {
        impl<'c, C: Closes<$engine>> Executor<'c> for &'c mut Session<$engine, C> {
            type Database = $engine;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxStream<'e, Result<Step<$engine>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, $engine>,
            {
                let Session { connection, must_close, .. } = self;
                if *must_close {
                    return Box::pin(stream::once(ready(Err(closed_after_error()))));
                }
                let steps = (&mut **connection).fetch_many(query);
                Box::pin(steps.inspect_err(move |error| *must_close |= ends_session(error)))
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<<$engine as Database>::Row>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, $engine>,
            {
                let Session { connection, must_close, .. } = self;
                let row = (&mut **connection).fetch_optional(query);
                Box::pin(watched(row, must_close))
            }

            fn prepare_with<'e, 'q: 'e>(
                self,
                sql: &'q str,
                parameters: &'e [<$engine as Database>::TypeInfo],
            ) -> BoxFuture<'e, Result<<$engine as Database>::Statement<'q>, Error>>
            where
                'c: 'e,
            {
                let Session { connection, must_close, .. } = self;
                let statement = (&mut **connection).prepare_with(sql, parameters);
                Box::pin(watched(statement, must_close))
            }

            fn describe<'e, 'q: 'e>(
                self,
                sql: &'q str,
            ) -> BoxFuture<'e, Result<Describe<$engine>, Error>>
            where
                'c: 'e,
            {
                let Session { connection, must_close, .. } = self;
                let described = (&mut **connection).describe(sql);
                Box::pin(watched(described, must_close))
            }
        }
    };
}

watch!(Postgres);
watch!(Sqlite);

async fn watched<T>(
    answer: impl Future<Output = Result<T, Error>>,
    must_close: &mut bool,
) -> Result<T, Error> {
    if *must_close {
        return Err(closed_after_error());
    }
    let answer = answer.await;
    if let Err(error) = &answer {
        *must_close |= ends_session(error);
    }
    answer
}

/// Whether a session that returned this error must not be used again. An error that is known to be about the statement
/// leaves the session as it was; every other error closes it, since connecting again costs little.
pub(crate) fn ends_session(error: &Error) -> bool {
    match error {
        Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => ends_postgres_session(error.severity(), error.code()),
            None => ends_sqlite_session(database.code().as_deref()),
        },
        // A value that can't be read, or an answer that has no row, is about data.
        Error::ColumnDecode { .. }
        | Error::Decode(_)
        | Error::Encode(_)
        | Error::ColumnNotFound(_)
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::TypeNotFound { .. }
        | Error::RowNotFound => false,
        _ => true,
    }
}

fn ends_postgres_session(severity: PgSeverity, code: &str) -> bool {
    if matches!(severity, PgSeverity::Fatal | PgSeverity::Panic) {
        return true;
    }
    match code {
        // Lock not available, cancelled (a time limit among them), disk full: another statement may succeed.
        "55P03" | "57014" | "53100" => false,
        // A prepared statement exists already: something between here and the server mixes sessions.
        "42P05" => true,
        // Data, constraints, serialization, syntax and rights, limits, errors of functions.
        _ => !matches!(
            code.get(..2),
            Some(
                "20" | "21"
                    | "22"
                    | "23"
                    | "27"
                    | "38"
                    | "39"
                    | "3B"
                    | "40"
                    | "42"
                    | "44"
                    | "54"
                    | "P0"
            )
        ),
    }
}

fn ends_sqlite_session(code: Option<&str>) -> bool {
    // The primary code is the low byte: 1 an error in the statement, 5 busy, 6 locked, 18 too big, 19 a constraint,
    // 20 a mismatch of types, 25 a parameter out of range.
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    !matches!(primary, Some(1 | 5 | 6 | 18 | 19 | 20 | 25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_end_a_transaction_or_a_session_close_it() {
        // Out of memory, interrupt, I/O error (and one of its extended codes), corrupt, full, moved away.
        for code in ["7", "9", "10", "778", "11", "13", "1032"] {
            assert!(ends_sqlite_session(Some(code)), "{code}");
        }
        for code in ["1", "5", "517", "6", "19", "2067", "20"] {
            assert!(!ends_sqlite_session(Some(code)), "{code}");
        }
        // Read-only, an old plan, a lost statement, out of memory, an internal error, an I/O error.
        for code in ["25006", "25P02", "0A000", "26000", "42P05", "53200", "XX000", "58030"] {
            assert!(ends_postgres_session(PgSeverity::Error, code), "{code}");
        }
        for code in ["23505", "40P01", "55P03", "57014", "22P05", "42P01", "P0001"] {
            assert!(!ends_postgres_session(PgSeverity::Error, code), "{code}");
        }
        assert!(ends_postgres_session(PgSeverity::Fatal, "57P01"));
        assert!(ends_session(&Error::WorkerCrashed));
        assert!(!ends_session(&Error::RowNotFound));
    }
}
