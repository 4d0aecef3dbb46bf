//! Folding a long stretch of the log into rows, on all cores: one reader, and workers that share the
//! streams among them by number. Order between streams never matters, so nobody waits for anybody.
//!
//! Rows stay in memory until they are too many; then they are written while folding goes on, and a
//! stream that goes on is read back. So memory is bounded by the number of rows held, whatever the
//! log's length.

use super::ReplayError;
use crate::courtesy::Courtesy;
use crate::projector::{Folded, fold};
use crate::view::View;
use crate::view_table::{Stored, ViewTable};
use gdmarket_store::{EventRef, LogChunk, Parked, Store, StoreError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Rows that all workers together hold before they are written, about 0.4 KiB each for items; as many
/// again are on their way into the table.
const ROWS: usize = if cfg!(test) { 8 } else { 100_000 };
/// More workers than this wait for the reader.
const WORKERS: usize = 4;
/// Streams with neighbouring numbers that go to one worker, so that it writes neighbouring rows.
const NEIGHBOURS: i64 = if cfg!(test) { 1 } else { 512 };
/// Chunks that wait for a worker.
const WAITING: usize = 4;

/// What a worker is given.
enum Work {
    Events(LogChunk),
    /// All events were given: only then rows may be written that aren't too many.
    End,
}

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
            let worker = Worker {
                store: store.clone(),
                table: Arc::clone(table),
                courtesy: Arc::clone(courtesy),
                stop: stop.clone(),
                most: ROWS / share,
                rows: HashMap::new(),
                loaded: HashSet::new(),
                writing: None,
                // What was folded before may have written rows.
                is_spilled: after > 0,
                runtime: Handle::current(),
                known: Arc::clone(&known),
                poisoned: Poisoned::new(),
            };
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

struct Worker<V: View> {
    store: Store,
    table: Arc<ViewTable<V>>,
    courtesy: Arc<Courtesy>,
    /// Nobody waits for this worker any more.
    stop: CancellationToken,
    /// Rows that it holds before they are written.
    most: usize,
    rows: HashMap<i64, Stored<V::Row>>,
    /// Rows that the table has already, or will have before these are written.
    loaded: HashSet<i64>,
    writing: Option<Writing<V>>,
    is_spilled: bool,
    runtime: Handle,
    known: Arc<Poisoned>,
    poisoned: Poisoned,
}

/// Rows on their way into the table.
struct Writing<V: View> {
    rows: Arc<HashMap<i64, Stored<V::Row>>>,
    task: AbortOnDropHandle<Result<(), StoreError>>,
}

impl<V: View> Worker<V> {
    fn work(mut self, mut work: mpsc::Receiver<Work>) -> Result<Poisoned, ReplayError> {
        while let Some(given) = work.blocking_recv() {
            match given {
                Work::Events(chunk) => {
                    let began = Instant::now();
                    if self.is_spilled {
                        self.load(&chunk)?;
                    }
                    chunk.each(|event| self.take(event))?;
                    if self.rows.len() >= self.most {
                        self.spill()?;
                    } else {
                        self.wait(self.courtesy.rest(began))?;
                    }
                }
                Work::End => {
                    self.spill()?;
                    self.finish_writing()?;
                    return Ok(self.poisoned);
                }
            }
        }
        // Nobody waits for what was begun.
        Ok(self.poisoned)
    }

    fn take(&mut self, event: EventRef<'_>) -> Result<(), ReplayError> {
        let number = event.number;
        if self.known.contains_key(&number) || self.poisoned.contains_key(&number) {
            return Ok(());
        }
        let row = self.rows.entry(number).or_insert_with(|| Stored::new(number));
        match fold::<V>(row, event) {
            Folded::Taken | Folded::Old => Ok(()),
            Folded::Newer(what) => Err(ReplayError::Newer(what)),
            Folded::Poison(reason) => {
                row.stale = Some((event.recorded_at, reason.clone()));
                self.poisoned.insert(number, parked(event, reason));
                Ok(())
            }
        }
    }

    /// Reads back the rows of streams that go on.
    fn load(&mut self, chunk: &LogChunk) -> Result<(), ReplayError> {
        let mut missing = chunk.going_on(|number| self.rows.contains_key(&number))?;
        if let Some(writing) = &self.writing {
            missing.retain(|number| {
                let Some(row) = writing.rows.get(number) else { return true };
                self.loaded.insert(*number);
                self.rows.insert(*number, row.clone());
                false
            });
        }
        let loading = self.table.load(self.store.views(), &missing);
        let loaded = self.wait(loading)??;
        self.loaded.extend(loaded.keys());
        self.rows.extend(loaded);
        Ok(())
    }

    /// Has every row written, after those before. Only among commands it waits for the end, as one
    /// guest at a time.
    fn spill(&mut self) -> Result<(), ReplayError> {
        self.finish_writing()?;
        let (rows, loaded) = (Arc::new(take(&mut self.rows)), take(&mut self.loaded));
        let (table, courtesy) = (Arc::clone(&self.table), Arc::clone(&self.courtesy));
        let (db, written) = (self.store.views().clone(), Arc::clone(&rows));
        let task = self.runtime.spawn(async move {
            let mut rows: Vec<_> = written.values().collect();
            // In the order of their numbers the table's index grows at its end.
            rows.sort_unstable_by_key(|row| row.number);
            table.write_many(&db, (&rows, &loaded), &courtesy).await
        });
        self.writing = Some(Writing { rows, task: AbortOnDropHandle::new(task) });
        self.is_spilled = true;
        if self.courtesy.is_due() { self.finish_writing() } else { Ok(()) }
    }

    fn finish_writing(&mut self) -> Result<(), ReplayError> {
        let Some(Writing { task, .. }) = self.writing.take() else { return Ok(()) };
        let written = self.wait(task)?;
        written.map_err(|error| ReplayError::Broken(error.to_string()))??;
        Ok(())
    }

    /// Waits on the runtime as long as somebody waits for this worker: the runtime's timers and
    /// sockets may end with them.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, ReplayError> {
        self.runtime.block_on(async {
            tokio::select! {
                // First: afterwards there is no timer to ask.
                biased;
                () = self.stop.cancelled() => {
                    Err(ReplayError::Broken("nobody waits for it any more".to_owned()))
                }
                done = future => Ok(done),
            }
        })
    }
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
