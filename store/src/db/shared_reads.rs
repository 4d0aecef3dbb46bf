//! Reads of the same kind that wait at the same time share one query, as appends share a commit. There is no timer:
//! while one query is in flight, the next one collects.
//!
//! Dropping a read drops only the waiting. [`ReadMany`] defines the reads.

use super::Db;
use super::connection_guard::ConnectionGuard;
use super::recv_batch::recv_batch;
use super::sticky_connection::{StickyReader, next_or_release};
use super::tasks::Tasks;
use crate::error::StoreError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Most reads of one query.
const MAX_BATCH: usize = 256;

/// How several values are read with one query.
pub(crate) trait ReadMany: Send + Sync + 'static {
    /// A caller's request.
    type Key: Send + Sync + 'static;
    /// The answer to it.
    type Answer: Send + 'static;
    /// Queries in flight at the same time: several where a long one would delay all other callers, else one, which
    /// most callers then share.
    const CONCURRENCY: usize;

    /// An answer for each key, in their order.
    fn read(
        &self,
        reader: &mut StickyReader,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

type Answer<R> = Result<<R as ReadMany>::Answer, StoreError>;

type Request<R> = (<R as ReadMany>::Key, oneshot::Sender<Answer<R>>);

/// Requests that one query answers.
struct ReadBatch<R: ReadMany> {
    keys: Vec<R::Key>,
    answers: Vec<oneshot::Sender<Answer<R>>>,
}

/// Reads for several callers at a time.
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
    /// Starts the tasks that read; they end with the store.
    pub(crate) fn start(
        reads: R,
        db: &Db,
        guard: &Arc<dyn ConnectionGuard>,
        tasks: &Tasks,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_BATCH);
        let (reads, waiting) = (Arc::new(reads), Arc::new(Mutex::new(waiting)));
        for _ in 0..R::CONCURRENCY {
            let (reads, waiting) = (Arc::clone(&reads), Arc::clone(&waiting));
            let (reader, guard) = (StickyReader::of(db), Arc::clone(guard));
            tasks.spawn_until_stopped(async move {
                serve(reads.as_ref(), reader, &waiting, guard.as_ref()).await;
            });
        }
        Self { queue }
    }

    /// Reads the value of one key.
    pub(crate) async fn read(&self, key: R::Key) -> Answer<R> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((key, answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

async fn serve<R: ReadMany>(
    reads: &R,
    mut reader: StickyReader,
    queue: &Mutex<mpsc::Receiver<Request<R>>>,
    guard: &dyn ConnectionGuard,
) {
    let mut requests = Vec::new();
    loop {
        let request =
            async { recv_batch(&mut *queue.lock().await, &mut requests, MAX_BATCH).await };
        if next_or_release(request, async { reader.release() }).await == 0 {
            return;
        }
        let (keys, answers) = requests.drain(..).unzip();
        answer(reads, &mut reader, ReadBatch { keys, answers }, guard).await;
    }
}

async fn answer<R: ReadMany>(
    reads: &R,
    reader: &mut StickyReader,
    batch: ReadBatch<R>,
    guard: &dyn ConnectionGuard,
) {
    let ReadBatch { keys, answers } = batch;
    match reads.read(reader, &keys).await {
        Ok(found) => {
            for (answer, found) in answers.into_iter().zip(found) {
                // Its caller may have gone away.
                drop(answer.send(Ok(found)));
            }
        }
        // One broken row, or one damaged page, concerns only the caller that reads it: each key is read alone.
        Err(error @ (StoreError::Corrupt(_) | StoreError::Damaged(_))) if keys.len() > 1 => {
            reader.release();
            guard.notice(&error);
            for (key, answer) in keys.into_iter().zip(answers) {
                let alone = reads.read(reader, std::slice::from_ref(&key)).await;
                if alone.is_err() {
                    reader.release();
                }
                drop(answer.send(alone.and_then(only)));
            }
        }
        Err(error) => {
            reader.release();
            guard.notice(&error);
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
