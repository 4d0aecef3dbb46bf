//! Numbers drawn from the database: 1, 2, 3 … per kind. Draws that wait at the same time share one
//! update; a number whose drawer went away is lost, none is ever given twice.

use crate::db::LogConnection;
use crate::db::held::{self, Held};
use crate::db::sqlite::Writer;
use crate::error::StoreError;
use crate::gather::gather;
use sqlx::Postgres;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Draws waiting before `draw` itself waits; and the most that share an update.
const QUEUE: usize = 1024;

struct Draw {
    kind: String,
    answer: oneshot::Sender<Result<i64, StoreError>>,
}

/// Draws numbers.
#[derive(Debug, Clone)]
pub struct Numbers {
    queue: mpsc::Sender<Draw>,
}

impl Numbers {
    /// The task ends when `stop` is cancelled; whoever waits then is told that the store is closed.
    pub(crate) fn start(
        writer: &LogConnection,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let writer = match writer {
            LogConnection::Postgres(pool) => Urn::Postgres(Held::new(pool.clone())),
            LogConnection::Sqlite(writer) => Urn::Sqlite(Arc::clone(writer)),
        };
        tracker.spawn(async move { stop.run_until_cancelled(serve(writer, waiting)).await });
        Self { queue }
    }

    /// The next number of this kind.
    pub async fn draw(&self, kind: &str) -> Result<i64, StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::Unavailable("the store is closed".to_owned());
        let draw = Draw { kind: kind.to_owned(), answer };
        self.queue.send(draw).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

const TAKE: &str = "INSERT INTO numbers (kind, last) VALUES ($1, $2) \
    ON CONFLICT (kind) DO UPDATE SET last = numbers.last + excluded.last RETURNING last";

/// What numbers are drawn from.
enum Urn {
    Postgres(Held<Postgres>),
    Sqlite(Writer),
}

impl Urn {
    /// The last of `count` new numbers.
    async fn take(&mut self, kind: &str, count: i64) -> Result<i64, StoreError> {
        Ok(match self {
            Self::Postgres(held) => {
                let query = sqlx::query_scalar(TAKE).bind(kind).bind(count);
                query.fetch_one(held.get().await?).await?
            }
            Self::Sqlite(writer) => {
                let query = sqlx::query_scalar(TAKE).bind(kind).bind(count);
                // All, though it is one: a commit that fails is told at the statement's end only.
                let taken = query.fetch_all(&mut *writer.lock().await).await?;
                taken.first().copied().ok_or(sqlx::Error::RowNotFound)?
            }
        })
    }

    fn give_back(&mut self) {
        if let Self::Postgres(held) = self {
            held.give_back();
        }
    }
}

async fn serve(mut urn: Urn, mut waiting: mpsc::Receiver<Draw>) {
    let mut draws = Vec::new();
    while held::next(gather(&mut waiting, &mut draws, QUEUE), || urn.give_back()).await > 0 {
        let mut kinds: BTreeMap<String, Vec<oneshot::Sender<_>>> = BTreeMap::new();
        for Draw { kind, answer } in draws.drain(..) {
            kinds.entry(kind).or_default().push(answer);
        }
        for (kind, answers) in kinds {
            let count = i64::try_from(answers.len()).unwrap_or(i64::MAX);
            match urn.take(&kind, count).await {
                Ok(last) => {
                    for (number, answer) in (last - count + 1..).zip(answers) {
                        drop(answer.send(Ok(number)));
                    }
                }
                Err(error) => {
                    urn.give_back();
                    let why = error.to_string();
                    for answer in answers {
                        drop(answer.send(Err(StoreError::Unavailable(why.clone()))));
                    }
                }
            }
        }
    }
}
