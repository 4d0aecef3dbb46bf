//! Those who read the same kind of thing at the same time share one query, as appends share a commit.
//! No timer: while one query is on its way, the next collects.
//!
//! Dropping a read drops only the waiting. What is read is somebody else's matter ([`ReadMany`]).

use crate::continuity::Continuity;
use crate::db::Db;
use crate::db::held::{self, HeldReader};
use crate::error::StoreError;
use crate::gather::gather;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most reads of one query.
const TOGETHER: usize = 256;

/// How several are read in one go.
pub(crate) trait ReadMany: Send + Sync + 'static {
    /// What is asked for.
    type Asked: Send + Sync + 'static;
    /// What is answered.
    type Answer: Send + 'static;
    /// Queries on their way at once: several where a long one may hold up all others, else one, which
    /// most go along with.
    const AT_ONCE: usize;

    /// An answer for each, in their order.
    fn read(
        &self,
        reader: &mut HeldReader,
        asked: &[Self::Asked],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

type Answer<R> = Result<<R as ReadMany>::Answer, StoreError>;

struct Waiting<R: ReadMany> {
    asked: Vec<R::Asked>,
    answers: Vec<oneshot::Sender<Answer<R>>>,
}

type Request<R> = (<R as ReadMany>::Asked, oneshot::Sender<Answer<R>>);

/// Reads what several ask for.
pub(crate) struct SharedReads<R: ReadMany> {
    queue: mpsc::Sender<Request<R>>,
}

impl<R: ReadMany> Clone for SharedReads<R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<R: ReadMany> fmt::Debug for SharedReads<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedReads").finish_non_exhaustive()
    }
}

impl<R: ReadMany> SharedReads<R> {
    /// Starts the tasks; they end with `stop`.
    pub(crate) fn start(
        reads: R,
        db: &Db,
        (continuity, tracker): (&Continuity, &TaskTracker),
        stop: &CancellationToken,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(TOGETHER);
        let (reads, waiting) = (Arc::new(reads), Arc::new(Mutex::new(waiting)));
        for _ in 0..R::AT_ONCE {
            let (reads, waiting, stop) = (Arc::clone(&reads), Arc::clone(&waiting), stop.clone());
            let reader = HeldReader::of(db);
            let continuity = continuity.clone();
            tracker.spawn(async move {
                let serving = serve(reads.as_ref(), reader, &waiting, &continuity);
                stop.run_until_cancelled(serving).await
            });
        }
        Self { queue }
    }

    /// Reads one.
    pub(crate) async fn read(&self, asked: R::Asked) -> Answer<R> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((asked, answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

async fn serve<R: ReadMany>(
    reads: &R,
    mut reader: HeldReader,
    queue: &Mutex<mpsc::Receiver<Request<R>>>,
    continuity: &Continuity,
) {
    let mut requests = Vec::new();
    loop {
        let asking = async { gather(&mut *queue.lock().await, &mut requests, TOGETHER).await };
        if held::next(asking, async { reader.give_back() }).await == 0 {
            return;
        }
        let (asked, answers) = requests.drain(..).unzip();
        answer(reads, &mut reader, Waiting { asked, answers }, continuity).await;
    }
}

async fn answer<R: ReadMany>(
    reads: &R,
    reader: &mut HeldReader,
    waiting: Waiting<R>,
    continuity: &Continuity,
) {
    let Waiting { asked, answers } = waiting;
    match reads.read(reader, &asked).await {
        Ok(found) => {
            for (answer, found) in answers.into_iter().zip(found) {
                // Nobody may be waiting any more.
                drop(answer.send(Ok(found)));
            }
        }
        // One broken row, or one damaged page, is its reader's trouble: each looks alone.
        Err(error @ (StoreError::Corrupt(_) | StoreError::Damaged(_))) if asked.len() > 1 => {
            reader.give_back();
            continuity.notice(&error);
            for (asked, answer) in asked.into_iter().zip(answers) {
                let alone = reads.read(reader, std::slice::from_ref(&asked)).await;
                if alone.is_err() {
                    reader.give_back();
                }
                drop(answer.send(alone.and_then(only)));
            }
        }
        Err(error) => {
            reader.give_back();
            continuity.notice(&error);
            let mut answers = answers.into_iter();
            let first = answers.next();
            for answer in answers {
                drop(answer.send(Err(error.for_another())));
            }
            drop(first.map(|answer| answer.send(Err(error))));
        }
    }
}

fn only<T>(found: Vec<T>) -> Result<T, StoreError> {
    let nothing = || StoreError::Corrupt("a read without an answer".to_owned());
    found.into_iter().next().ok_or_else(nothing)
}
