//! Folding a long stretch of the log into rows, on all cores: one reader, and workers that share the
//! streams among them by number. Order between streams never matters, so nobody waits for anybody.
//!
//! Rows stay in memory until they are too many; then they are written while folding goes on, and a
//! stream that goes on is read back. So memory is bounded by the number of rows held, whatever the
//! log's length.

mod worker;

use super::ReplayError;
use crate::courtesy::Courtesy;
use crate::view::View;
use crate::view_table::ViewTable;
use gdmarket_store::{EventRef, Parked, Store};
use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::{Work, Worker};

/// Rows that all workers together hold before they are written, about 0.4 KiB each for items; as many
/// again are on their way into the table.
const ROWS: usize = if cfg!(test) { 8 } else { 75_000 };
/// More workers than this wait for the reader.
const WORKERS: usize = 4;
/// Streams with neighbouring numbers that go to one worker, so that it writes neighbouring rows.
const NEIGHBOURS: i64 = if cfg!(test) { 1 } else { 512 };
/// Chunks that wait for a worker.
const WAITING: usize = 4;

/// Told how many events were read so far.
pub(super) type Read<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Streams that can't be folded, by number.
pub(super) type Poisoned = BTreeMap<i64, Parked>;

/// Folds the events after `after` up to `until` into `table`; how many there were.
pub(super) async fn fold_all<V: View>(
    store: &Store,
    (table, courtesy): (&Arc<ViewTable<V>>, &Arc<Courtesy>),
    (after, until): (i64, i64),
    (poisoned, so_far): (&mut Poisoned, Read<'_>),
) -> Result<u64, ReplayError> {
    let known = Arc::new(take(poisoned));
    // Where this future is dropped, by Ctrl-C say, workers end at once.
    let stop = CancellationToken::new();
    let _dropped = stop.clone().drop_guard();
    let share = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS));
    let workers: Vec<(mpsc::Sender<Work>, JoinHandle<_>)> = (0..share)
        .map(|_| {
            let (sender, work) = mpsc::channel(WAITING);
            let shared = (Arc::clone(table), Arc::clone(courtesy), Arc::clone(&known));
            // What was folded before may have written rows.
            let size = (ROWS / share, after > 0);
            let worker = Worker::new(store.clone(), shared, stop.clone(), size);
            (sender, tokio::task::spawn_blocking(move || worker.work(work)))
        })
        .collect();
    let (senders, tasks): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
    let read = hand_out::<V>(store, &senders, (after, until), so_far).await;
    drop(senders);
    poisoned.extend(known.iter().map(|(number, parked)| (*number, parked.clone())));
    for task in tasks {
        let done = task.await.map_err(|error| ReplayError::Broken(error.to_string()))?;
        poisoned.extend(done?);
    }
    read
}

async fn hand_out<V: View>(
    store: &Store,
    workers: &[mpsc::Sender<Work>],
    (after, until): (i64, i64),
    so_far: Read<'_>,
) -> Result<u64, ReplayError> {
    let mut scan = store.log().scan(V::AGGREGATE, after, until);
    let mut read = 0;
    while let Some(chunk) = scan.next().await? {
        read += u64::try_from(chunk.len()).unwrap_or(0);
        let parts = chunk.split(workers.len(), |number| whose(number, workers.len()));
        for (worker, part) in workers.iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
            if worker.send(Work::Events(part)).await.is_err() {
                // It says itself why it stopped.
                return Ok(read);
            }
        }
        so_far(read);
    }
    for worker in workers {
        drop(worker.send(Work::End).await);
    }
    Ok(read)
}

/// Which worker folds the stream of this number.
fn whose(number: i64, workers: usize) -> usize {
    usize::try_from(number / NEIGHBOURS).map_or(0, |block| block % workers)
}

/// A stream that stops at this event.
pub(super) fn parked(event: EventRef<'_>, reason: String) -> Parked {
    Parked {
        key: format!("{}/{}", event.kind, event.number),
        state: Parked::PARKED.to_owned(),
        reason,
        since_position: event.position,
        since_time: event.recorded_at,
        attempts: 1,
    }
}
