//! Folding a long range of the log into rows, on all cores: one reader, and workers that share the
//! streams among them by number. Order between streams never matters, so no worker waits for another.
//!
//! Rows stay in memory until they are too many; then they are written while folding continues, and the
//! row of a stream with later events is read back. So memory is bounded by the number of rows held, whatever the
//! log's length.

mod worker;

use super::ReplayError;
use crate::engine::throttle::Throttle;
use crate::engine::view::View;
use crate::engine::view_table::ViewTable;
use gdmarket_store::{EventRef, Parked, Store};
use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::{Shared, Work, Worker};

/// Rows that all workers together hold before they are written, about 0.4 KiB each for items; as many
/// again are on their way into the table. With half of them, a log whose streams continue after 50,000
/// events takes half as long again (`cargo bench -p gdmarket-bench --bench replay -- --apart 50000`).
const ROWS: usize = if cfg!(test) { 8 } else { 75_000 };
/// More workers than this wait for the reader.
const WORKERS: usize = 4;
/// Streams with neighbouring numbers that go to one worker, so that it writes neighbouring rows.
const NEIGHBOURS: i64 = if cfg!(test) { 1 } else { 512 };
/// Chunks that wait for a worker.
const WAITING: usize = 4;

/// Is called with how many events were read so far.
pub(super) type Read<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// What can't be folded: streams by number, and rows of the log that are of no stream by their negative
/// position. Numbers of streams begin with 1.
pub(super) type Poisoned = BTreeMap<i64, Parked>;

/// A range of the log, and where its rows go.
pub(super) struct LogRange<'a, V: View> {
    pub(super) table: &'a Arc<ViewTable<V>>,
    pub(super) throttle: &'a Arc<Throttle>,
    /// Where it begins: the position before its first.
    pub(super) after: i64,
    /// The position of its last.
    pub(super) until: i64,
    pub(super) so_far: Read<'a>,
}

/// Folds the events of a range, but for streams that are known to be poisoned; how many there were.
pub(super) async fn fold_all<V: View>(
    store: &Store,
    range: LogRange<'_, V>,
    poisoned: &mut Poisoned,
) -> Result<u64, ReplayError> {
    let shared = Arc::new(Shared {
        store: store.clone(),
        table: Arc::clone(range.table),
        throttle: Arc::clone(range.throttle),
        known: take(poisoned),
        stop: CancellationToken::new(),
    });
    // Where this future is dropped, by Ctrl-C say, workers end at once.
    let _dropped = shared.stop.clone().drop_guard();
    let share = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS));
    let workers: Vec<(mpsc::Sender<Work>, JoinHandle<_>)> = (0..share)
        .map(|_| {
            let (sender, work) = mpsc::channel(WAITING);
            // What was folded before may have written rows.
            let is_spilled = range.after > 0;
            let worker = Worker::new(Arc::clone(&shared), ROWS / share, is_spilled);
            (sender, tokio::task::spawn_blocking(move || worker.work(work)))
        })
        .collect();
    let (senders, tasks): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
    let read = hand_out(store, &senders, &range).await;
    drop(senders);
    poisoned.extend(shared.known.clone());
    for task in tasks {
        let done = task.await.map_err(|error| ReplayError::Broken(error.to_string()))?;
        poisoned.extend(done?);
    }
    read
}

async fn hand_out<V: View>(
    store: &Store,
    workers: &[mpsc::Sender<Work>],
    range: &LogRange<'_, V>,
) -> Result<u64, ReplayError> {
    let mut scan = store.log().scan(V::AGGREGATE, range.after, range.until);
    let mut read = 0;
    while let Some(chunk) = scan.next().await? {
        read += u64::try_from(chunk.len()).unwrap_or(0);
        let parts = chunk.split(workers.len(), |number| worker_of(number, workers.len()));
        for (worker, part) in workers.iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
            if worker.send(Work::Events(part)).await.is_err() {
                // The worker reports why it stopped.
                return Ok(read);
            }
        }
        (range.so_far)(read);
    }
    for worker in workers {
        drop(worker.send(Work::End).await);
    }
    Ok(read)
}

/// Which worker folds the stream of this number.
fn worker_of(number: i64, workers: usize) -> usize {
    usize::try_from(number / NEIGHBOURS).map_or(0, |block| block % workers)
}

/// A stream that stops at this event.
pub(super) fn parked(event: EventRef<'_>, reason: String) -> Parked {
    Parked {
        key: event.key(),
        state: Parked::PARKED.to_owned(),
        reason,
        since_position: event.position,
        since_time: event.recorded_at,
        attempts: 1,
    }
}
