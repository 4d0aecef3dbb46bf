//! A pool whose sessions are watched: see [`Session`].

use super::session::Session;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use sqlx::{Database, Describe, Either, Error, Execute, Executor, Pool, Postgres, Sqlite};
use std::fmt;
use std::time::Duration;
use tokio::time::sleep;

/// How often a pool is closed again while it has sessions, and the pause between.
const CLOSE_TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// A pool that hands out watched sessions; clones share it. As an executor it takes a session for each statement.
pub struct Pooled<D: Database>(Pool<D>);

impl<D: Database> Clone for Pooled<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: Database> fmt::Debug for Pooled<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&self.0).finish()
    }
}

impl<D: Database> From<Pool<D>> for Pooled<D> {
    fn from(pool: Pool<D>) -> Self {
        Self(pool)
    }
}

impl<D: Database> Pooled<D> {
    /// A session, for several statements.
    pub async fn acquire(&self) -> Result<Session<D>, Error> {
        self.0.acquire().await.map(Session::new)
    }

    /// The most sessions that it hands out.
    pub fn max_connections(&self) -> u32 {
        self.0.options().get_max_connections()
    }

    /// The idle time after which a session is closed.
    #[cfg(test)]
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.0.options().get_idle_timeout()
    }

    /// The age at which a session is closed.
    #[cfg(test)]
    pub(crate) fn max_lifetime(&self) -> Option<Duration> {
        self.0.options().get_max_lifetime()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Hands out no session any more; the future waits for sessions in use, and until all are closed.
    pub fn close(&self) -> impl Future<Output = ()> + '_ {
        let closed = self.0.close();
        async move {
            closed.await;
            // A session that was on its way back while the pool closed is put among the idle ones, and stays open: sqlx
            // closes idle sessions before it waits for those in use.
            for _ in 0..CLOSE_TRIES {
                if self.0.size() == 0 {
                    break;
                }
                self.0.close().await;
                sleep(PAUSE).await;
            }
        }
    }
}

impl Pooled<Sqlite> {
    /// How its file is opened.
    pub(crate) fn connect_options(&self) -> std::sync::Arc<sqlx::sqlite::SqliteConnectOptions> {
        self.0.connect_options()
    }
}

type Step<D> = Either<<D as Database>::QueryResult, <D as Database>::Row>;

macro_rules! hand_out {
    ($engine:ident) => {
        impl<'p> Executor<'p> for &Pooled<$engine> {
            type Database = $engine;

            /// Reads all rows at once: the session must not go back before the last row was read.
            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxStream<'e, Result<Step<$engine>, Error>>
            where
                'p: 'e,
                E: 'q + Execute<'q, $engine>,
            {
                let pool = self.clone();
                let steps = async move {
                    let mut session = pool.acquire().await?;
                    let steps: Vec<Step<$engine>> =
                        (&mut session).fetch_many(query).try_collect().await?;
                    Ok::<_, Error>(stream::iter(steps.into_iter().map(Ok)))
                };
                stream::once(steps).try_flatten().boxed()
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<<$engine as Database>::Row>, Error>>
            where
                'p: 'e,
                E: 'q + Execute<'q, $engine>,
            {
                let pool = self.clone();
                Box::pin(async move { (&mut pool.acquire().await?).fetch_optional(query).await })
            }

            fn fetch_all<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Vec<<$engine as Database>::Row>, Error>>
            where
                'p: 'e,
                E: 'q + Execute<'q, $engine>,
            {
                let pool = self.clone();
                Box::pin(async move { (&mut pool.acquire().await?).fetch_all(query).await })
            }

            fn prepare_with<'e, 'q: 'e>(
                self,
                sql: &'q str,
                parameters: &'e [<$engine as Database>::TypeInfo],
            ) -> BoxFuture<'e, Result<<$engine as Database>::Statement<'q>, Error>>
            where
                'p: 'e,
            {
                let pool = self.clone();
                Box::pin(
                    async move { (&mut pool.acquire().await?).prepare_with(sql, parameters).await },
                )
            }

            fn describe<'e, 'q: 'e>(
                self,
                sql: &'q str,
            ) -> BoxFuture<'e, Result<Describe<$engine>, Error>>
            where
                'p: 'e,
            {
                let pool = self.clone();
                Box::pin(async move { (&mut pool.acquire().await?).describe(sql).await })
            }
        }
    };
}

hand_out!(Postgres);
hand_out!(Sqlite);
