//! A worker that folds its share of the streams, and writes its rows when they reach the limit.

use super::{Poisoned, parked};
use crate::engine::projector::{Folded, fold};
use crate::engine::rebuild::ReplayError;
use crate::engine::throttle::Throttle;
use crate::engine::view::View;
use crate::engine::view_table::{StaleMark, Stored, ViewTable};
use gdmarket_store::{EventRef, LogChunk, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Rows by the numbers of their streams. They are boxed, since a map that grows moves its values.
type Rows<V> = HashMap<i64, Box<Stored<<V as View>::Row>>>;

/// The input of a worker.
pub(super) enum Work {
    Events(LogChunk),
    /// All events were sent: the worker writes the rows that are left.
    End,
}

/// The state that all workers share.
pub(super) struct Shared<V: View> {
    pub(super) store: Store,
    pub(super) table: Arc<ViewTable<V>>,
    pub(super) throttle: Arc<Throttle>,
    /// Streams that were poisoned before.
    pub(super) known: Poisoned,
    /// Cancelled when the build is dropped.
    pub(super) stop: CancellationToken,
}

/// Folds its share of the streams.
pub(super) struct Worker<V: View> {
    shared: Arc<Shared<V>>,
    /// The number of rows at which they are written.
    most: usize,
    rows: Rows<V>,
    /// The held rows that the table already has, or will have before these are written.
    loaded: HashSet<i64>,
    writing: Option<Writing<V>>,
    /// Whether the table may have rows of its streams.
    is_spilled: bool,
    runtime: Handle,
    poisoned: Poisoned,
}

/// Rows that are being written.
pub(super) struct Writing<V: View> {
    rows: Arc<Rows<V>>,
    task: AbortOnDropHandle<Result<(), StoreError>>,
}

impl<V: View> Worker<V> {
    /// A worker that holds up to `most` rows, on the current runtime. With `is_spilled`, the table may have
    /// rows of its streams.
    pub(super) fn new(shared: Arc<Shared<V>>, most: usize, is_spilled: bool) -> Self {
        Self {
            shared,
            most,
            rows: HashMap::new(),
            loaded: HashSet::new(),
            writing: None,
            is_spilled,
            runtime: Handle::current(),
            poisoned: Poisoned::new(),
        }
    }

    pub(super) fn work(mut self, mut work: mpsc::Receiver<Work>) -> Result<Poisoned, ReplayError> {
        while let Some(given) = work.blocking_recv() {
            match given {
                Work::Events(chunk) => {
                    let began = Instant::now();
                    if self.is_spilled {
                        self.load(&chunk)?;
                    }
                    for event in chunk.iter() {
                        self.take(event)?;
                    }
                    let is_full = self.rows.len() >= self.most;
                    if is_full {
                        self.spill()?;
                    }
                    if self.shared.throttle.is_active() {
                        // While commands come in, a worker doesn't fold and write at the same time.
                        self.finish_writing()?;
                    }
                    if !is_full {
                        self.wait(self.shared.throttle.pause_after(began))?;
                    }
                }
                Work::End => {
                    self.spill()?;
                    self.finish_writing()?;
                    return Ok(self.poisoned);
                }
            }
        }
        // The build was dropped.
        Ok(self.poisoned)
    }

    fn take(&mut self, event: EventRef<'_>) -> Result<(), ReplayError> {
        if let Some(damage) = event.damage.filter(|_| !event.has_stream()) {
            self.poisoned.insert(-event.position, parked(event, damage.reason.clone()));
            return Ok(());
        }
        let number = event.number;
        if self.shared.known.contains_key(&number) || self.poisoned.contains_key(&number) {
            return Ok(());
        }
        let row = self.rows.entry(number).or_insert_with(|| Box::new(Stored::new(number)));
        match fold::<V>(row, event) {
            Folded::Taken | Folded::Old => Ok(()),
            Folded::Newer(what) => Err(ReplayError::Newer(what)),
            Folded::Poison(reason) => {
                row.stale = Some(StaleMark { since: event.recorded_at, reason: reason.clone() });
                self.poisoned.insert(number, parked(event, reason));
                Ok(())
            }
        }
    }

    /// Reads back the written rows of the streams in this chunk.
    fn load(&mut self, chunk: &LogChunk) -> Result<(), ReplayError> {
        let mut missing = chunk.continued_streams(|number| self.rows.contains_key(&number));
        if let Some(writing) = &self.writing {
            missing.retain(|number| {
                let Some(row) = writing.rows.get(number) else { return true };
                self.loaded.insert(*number);
                self.rows.insert(*number, row.clone());
                false
            });
        }
        let loading = self.shared.table.load(self.shared.store.views(), &missing);
        let loaded = self.wait(loading)??;
        self.loaded.extend(loaded.keys());
        self.rows.extend(loaded.into_iter().map(|(number, row)| (number, Box::new(row))));
        Ok(())
    }

    /// Starts writing every row, after the rows of the last time are written.
    fn spill(&mut self) -> Result<(), ReplayError> {
        self.finish_writing()?;
        let (rows, loaded) = (Arc::new(take(&mut self.rows)), take(&mut self.loaded));
        let (shared, written) = (Arc::clone(&self.shared), Arc::clone(&rows));
        let task = self.runtime.spawn(async move {
            let mut rows: Vec<&Stored<V::Row>> = written.values().map(AsRef::as_ref).collect();
            // In the order of their numbers, the table's index grows at its end.
            rows.sort_unstable_by_key(|row| row.number);
            let Shared { store, table, throttle, .. } = shared.as_ref();
            table.write_many(store.views(), &rows, &loaded, throttle).await
        });
        self.writing = Some(Writing { rows, task: AbortOnDropHandle::new(task) });
        self.is_spilled = true;
        Ok(())
    }

    fn finish_writing(&mut self) -> Result<(), ReplayError> {
        let Some(Writing { task, .. }) = self.writing.take() else { return Ok(()) };
        let written = self.wait(task)?;
        written.map_err(|error| ReplayError::Broken(error.to_string()))??;
        Ok(())
    }

    /// Waits for a future, unless the build is dropped: the runtime's timers and sockets may end with it.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, ReplayError> {
        self.runtime.block_on(async {
            tokio::select! {
                // Checked first, since the future may need a timer that is gone.
                biased;
                () = self.shared.stop.cancelled() => {
                    Err(ReplayError::Broken("the build was cancelled".to_owned()))
                }
                done = future => Ok(done),
            }
        })
    }
}
