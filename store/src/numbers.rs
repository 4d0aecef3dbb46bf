//! Numbers drawn from the database: 1, 2, 3 … per kind. Draws that wait at the same time share one
//! update; a number whose drawer went away is lost, none is ever given twice.
//!
//! An update waits for the disk, as an append does. So where several draw at the same time, one draws
//! for those too who are about to come; what nobody comes for goes back. Who draws alone draws one.

mod urn;

use crate::db::LogConnection;
use crate::db::held;
use crate::error::StoreError;
use crate::gather::gather;
use std::collections::BTreeMap;
use std::ops::Range;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use urn::Urn;

/// Draws waiting before `draw` itself waits; and the most that share an update.
const QUEUE: usize = 1024;
/// Numbers drawn ahead for each that is drawn, where there are several.
const AHEAD: i64 = 3;

type Answer = oneshot::Sender<Result<i64, StoreError>>;

struct Draw {
    kind: String,
    answer: Answer,
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
        let drawer = Drawer { urn: Urn::of(writer), ahead: BTreeMap::new() };
        tracker.spawn(drawer.serve(waiting, stop));
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

/// Who draws for all of this process.
struct Drawer {
    urn: Urn,
    /// Drawn, and nobody's yet.
    ahead: BTreeMap<String, Range<i64>>,
}

impl Drawer {
    async fn serve(mut self, mut waiting: mpsc::Receiver<Draw>, stop: CancellationToken) {
        stop.run_until_cancelled(self.answer_each(&mut waiting)).await;
        self.put_back().await;
    }

    async fn answer_each(&mut self, waiting: &mut mpsc::Receiver<Draw>) {
        let mut draws = Vec::new();
        while held::next(gather(waiting, &mut draws, QUEUE), self.put_back()).await > 0 {
            let mut kinds: BTreeMap<String, Vec<Answer>> = BTreeMap::new();
            for Draw { kind, answer } in draws.drain(..) {
                kinds.entry(kind).or_default().push(answer);
            }
            for (kind, answers) in kinds {
                self.answer(kind, answers).await;
            }
        }
    }

    /// Answers with what was drawn ahead, then with what is drawn now.
    async fn answer(&mut self, kind: String, answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        let ahead = self.ahead.remove(&kind).unwrap_or_default();
        let left = give(ahead, &mut answers);
        let missing = i64::try_from(answers.len()).unwrap_or(i64::MAX);
        if missing == 0 {
            self.ahead.insert(kind, left);
            return;
        }
        let ahead = if missing > 1 { missing * AHEAD } else { 0 };
        match self.urn.take(&kind, missing + ahead).await {
            Ok(numbers) => {
                let left = give(numbers, &mut answers);
                self.ahead.insert(kind, left);
            }
            Err(error) => {
                self.urn.give_back();
                let why = error.to_string();
                for answer in answers {
                    drop(answer.send(Err(StoreError::Unavailable(why.clone()))));
                }
            }
        }
    }

    /// Nobody comes: what was drawn ahead goes back where no other process drew since.
    async fn put_back(&mut self) {
        for (kind, numbers) in std::mem::take(&mut self.ahead) {
            if !numbers.is_empty()
                && let Err(error) = self.urn.put_back(&kind, numbers).await
            {
                tracing::debug!(%error, kind, "numbers are lost");
            }
        }
        self.urn.give_back();
    }
}

/// Gives each who waits a number, while there are any; returns those left.
fn give(mut numbers: Range<i64>, answers: &mut std::vec::IntoIter<Answer>) -> Range<i64> {
    while !numbers.is_empty()
        && let Some(answer) = answers.next()
    {
        // Nobody may be waiting any more: the number is lost.
        drop(numbers.next().map(|number| answer.send(Ok(number))));
    }
    numbers
}
