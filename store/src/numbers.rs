//! Numbers drawn from the database: 1, 2, 3 … per kind. Draws that wait at the same time share one
//! update; a number whose drawer went away is lost, none is ever given twice.

use crate::db::{LogConnection, on_writer};
use crate::error::StoreError;
use std::collections::BTreeMap;
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
        writer: LogConnection,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
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

/// The last of `count` new numbers.
async fn take(writer: &LogConnection, kind: &str, count: i64) -> Result<i64, StoreError> {
    let sql = "INSERT INTO numbers (kind, last) VALUES ($1, $2) \
               ON CONFLICT (kind) DO UPDATE SET last = numbers.last + excluded.last \
               RETURNING last";
    on_writer!(writer, connection => {
        Ok(sqlx::query_scalar(sql).bind(kind).bind(count).fetch_one(connection).await?)
    })
}

async fn serve(writer: LogConnection, mut waiting: mpsc::Receiver<Draw>) {
    let mut draws = Vec::new();
    while waiting.recv_many(&mut draws, QUEUE).await > 0 {
        let mut kinds: BTreeMap<String, Vec<oneshot::Sender<_>>> = BTreeMap::new();
        for Draw { kind, answer } in draws.drain(..) {
            kinds.entry(kind).or_default().push(answer);
        }
        for (kind, answers) in kinds {
            let count = i64::try_from(answers.len()).unwrap_or(i64::MAX);
            match take(&writer, &kind, count).await {
                Ok(last) => {
                    for (number, answer) in (last - count + 1..).zip(answers) {
                        drop(answer.send(Ok(number)));
                    }
                }
                Err(error) => {
                    let why = error.to_string();
                    for answer in answers {
                        drop(answer.send(Err(StoreError::Unavailable(why.clone()))));
                    }
                }
            }
        }
    }
}
