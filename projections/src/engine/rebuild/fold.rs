//! Folding a long range of the log into rows on up to four cores: one reader, and workers that
//! share the streams by number. Order between streams never matters, so no worker waits for another.
//!
//! Rows stay in memory up to a limit; then they are written while folding continues, and the row of a
//! stream with later events is read back. The limit bounds memory, whatever the log's length.

mod worker;

use super::ReplayError;
use crate::engine::feed::{Feed, ScanRange};
use crate::engine::throttle::Throttle;
use crate::engine::view::View;
use crate::engine::view_table::ViewTable;
use futures::TryStreamExt;
use gdmarket_store::{EventRef, Parked, Store};
use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::{Shared, Work, Worker};

/// Rows that all workers together hold before they are written, about 0.4 KiB each for items; as many more
/// are being written. With half of them, a log whose streams continue after 50,000 events takes 1.5 times as
/// long (`cargo bench -p gdmarket-bench --bench replay -- --apart 50000`).
const ROWS: usize = if cfg!(test) { 8 } else { 75_000 };
/// The most workers: more would wait for the reader.
const WORKERS: usize = 4;
/// The length of a range of stream numbers that go to one worker, so that it writes neighbouring rows.
const NEIGHBOURS: i64 = if cfg!(test) { 1 } else { 512 };
/// Chunks that may queue for a worker.
const WAITING: usize = 4;

/// A callback with the number of events that were read so far.
pub(super) type ReadProgress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// The streams that can't be folded, by number, and the log rows that belong to no stream, by negative
/// position. Numbers of streams begin with 1.
pub(super) type Poisoned = BTreeMap<i64, Parked>;

/// A range of a log, and the table for its rows.
pub(super) struct LogRange<'a, V: View> {
    pub(super) feed: &'a dyn Feed,
    pub(super) table: &'a Arc<ViewTable<V>>,
    pub(super) throttle: &'a Arc<Throttle>,
    /// The position before the first event.
    pub(super) after: i64,
    /// The position of the last event.
    pub(super) until: i64,
    pub(super) so_far: ReadProgress<'a>,
}

/// Folds the events of a range, except for streams that are already poisoned; returns the number of events.
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
    // If this future is dropped, by Ctrl-C for example, the workers end at once.
    let _dropped = shared.stop.clone().drop_guard();
    let share = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS));
    let workers: Vec<(mpsc::Sender<Work>, JoinHandle<_>)> = (0..share)
        .map(|_| {
            let (sender, work) = mpsc::channel(WAITING);
            // An earlier range may have written rows.
            let is_spilled = range.after > 0;
            let worker = Worker::new(Arc::clone(&shared), ROWS / share, is_spilled);
            (sender, tokio::task::spawn_blocking(move || worker.work(work)))
        })
        .collect();
    let (senders, tasks): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
    let read = hand_out(&senders, &range).await;
    drop(senders);
    poisoned.extend(shared.known.clone());
    for task in tasks {
        let done = task.await.map_err(|error| ReplayError::Broken(error.to_string()))?;
        poisoned.extend(done?);
    }
    read
}

async fn hand_out<V: View>(
    workers: &[mpsc::Sender<Work>],
    range: &LogRange<'_, V>,
) -> Result<u64, ReplayError> {
    let LogRange { feed, after, until, .. } = *range;
    let mut scan = feed.scan(V::AGGREGATE, ScanRange { after, until });
    let mut read = 0;
    while let Some(chunk) = scan.try_next().await? {
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

/// The worker that folds the stream of this number.
fn worker_of(number: i64, workers: usize) -> usize {
    usize::try_from(number / NEIGHBOURS).map_or(0, |block| block % workers)
}

/// The row of a stream that is parked at this event.
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
