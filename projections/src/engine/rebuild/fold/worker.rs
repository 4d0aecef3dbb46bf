//! One of the workers that fold: it takes in its streams' events, and writes rows when they are too many.

use super::{Poisoned, parked};
use crate::engine::projector::{Folded, fold};
use crate::engine::rebuild::ReplayError;
use crate::engine::throttle::Throttle;
use crate::engine::view::View;
use crate::engine::view_table::{Stored, ViewTable};
use gdmarket_store::{EventRef, LogChunk, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Rows by their streams' numbers. Each in a place of its own: a table that grows moves what it holds.
type Rows<V> = HashMap<i64, Box<Stored<<V as View>::Row>>>;

/// What a worker is given.
pub(super) enum Work {
    Events(LogChunk),
    /// All events were given: only then rows may be written that aren't too many.
    End,
}

/// What all workers have in common.
pub(super) struct Shared<V: View> {
    pub(super) store: Store,
    pub(super) table: Arc<ViewTable<V>>,
    pub(super) throttle: Arc<Throttle>,
    /// Streams that were poisoned before.
    pub(super) known: Poisoned,
    /// The build was dropped.
    pub(super) stop: CancellationToken,
}

/// Folds its share of the streams.
pub(super) struct Worker<V: View> {
    shared: Arc<Shared<V>>,
    /// Rows that it holds before they are written.
    most: usize,
    rows: Rows<V>,
    /// Rows that the table has already, or will have before these are written.
    loaded: HashSet<i64>,
    writing: Option<Writing<V>>,
    /// The table may have rows of its streams.
    is_spilled: bool,
    runtime: Handle,
    poisoned: Poisoned,
}

/// Rows on their way into the table.
pub(super) struct Writing<V: View> {
    rows: Arc<Rows<V>>,
    task: AbortOnDropHandle<Result<(), StoreError>>,
}

impl<V: View> Worker<V> {
    /// One that holds `most` rows, on the runtime that this is called on. The table may have rows of its
    /// streams if it `is_spilled`.
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
                        // While commands come in, a worker does one thing at a time.
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
                row.stale = Some((event.recorded_at, reason.clone()));
                self.poisoned.insert(number, parked(event, reason));
                Ok(())
            }
        }
    }

    /// Reads back the rows of streams that have more events.
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

    /// Has every row written, after those before.
    fn spill(&mut self) -> Result<(), ReplayError> {
        self.finish_writing()?;
        let (rows, loaded) = (Arc::new(take(&mut self.rows)), take(&mut self.loaded));
        let (shared, written) = (Arc::clone(&self.shared), Arc::clone(&rows));
        let task = self.runtime.spawn(async move {
            let mut rows: Vec<&Stored<V::Row>> = written.values().map(AsRef::as_ref).collect();
            // In the order of their numbers the table's index grows at its end.
            rows.sort_unstable_by_key(|row| row.number);
            let Shared { store, table, throttle, .. } = shared.as_ref();
            table.write_many(store.views(), (&rows, &loaded), throttle).await
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

    /// Waits on the runtime as long as the build lives: the runtime's timers and sockets may end with
    /// it.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, ReplayError> {
        self.runtime.block_on(async {
            tokio::select! {
                // First: afterwards there is no timer to ask.
                biased;
                () = self.shared.stop.cancelled() => {
                    Err(ReplayError::Broken("nobody waits for it any more".to_owned()))
                }
                done = future => Ok(done),
            }
        })
    }
}
