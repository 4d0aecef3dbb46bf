//! Maintains a view: folds each batch in memory and writes the changed rows together with the checkpoint.
//!
//! A row advances only from one sequence to the next: an event with a lower sequence is already applied, a
//! gap means that an event is missing. An event that can't be folded parks its stream: the row shows since
//! when and why, later events stay in the log, and all other streams continue. A log row that belongs to
//! no stream is parked alone. A retry brings the row up to date from the log, as a rebuild would.

mod fold;
mod repairs;
#[cfg(test)]
mod tests;

pub(crate) use fold::{Folded, fold, fold_batch};

use crate::engine::feed::{Delivery, Feed, Feeds};
use crate::engine::subscription::{Halt, Handler, Reached, Run};
use crate::engine::view::View;
use crate::engine::view_table::{FoundRows, Stored, ViewTable};
use async_trait::async_trait;
use futures::future::BoxFuture;
use gdmarket_store::{Parked, ParkedKeys, RecordedEvent, Store, StreamId, Tx, failpoint};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// Builds the view of a projector, unless it was built before.
pub(crate) type EnsureBuilt = fn(Store, Feeds) -> BoxFuture<'static, Result<(), Halt>>;

/// The parts that a projector is made of.
pub(crate) struct ProjectorParts {
    pub(crate) store: Store,
    /// The logs that the view may be fed by.
    pub(crate) feeds: Feeds,
    /// The log that this projector reads.
    pub(crate) feed: Arc<dyn Feed>,
    /// How often to check for retries.
    pub(crate) tick: Duration,
    pub(crate) ensure_built: EnsureBuilt,
}

/// The handler behind a view, for the streams of one log.
pub(crate) struct Projector<V> {
    store: Store,
    feeds: Feeds,
    feed: Arc<dyn Feed>,
    table: ViewTable<V>,
    parked: ParkedKeys,
    tick: Duration,
    ensure_built: EnsureBuilt,
    /// The parked streams. The lock is held from reading rows until they are written, so that batches and
    /// repairs never work on the same row.
    blocked: Mutex<ParkedStreams>,
}

/// The parked streams of a view, each with the position of the event that it stopped at.
#[derive(Debug, Default)]
pub(super) struct ParkedStreams {
    /// Streams, by number.
    streams: BTreeMap<i64, i64>,
    /// Log rows that belong to no stream, by key.
    strays: BTreeMap<String, i64>,
}

/// An event that a stream stops at.
struct StreamStop<'a> {
    event: &'a RecordedEvent,
    reason: String,
    attempts: i64,
}

impl ParkedStreams {
    fn of(parked: Vec<Parked>) -> Self {
        let mut all = Self::default();
        for parked in parked {
            match parked.key.parse::<StreamId>() {
                Ok(stream) => all.streams.insert(stream.number, parked.since_position),
                Err(_) => all.strays.insert(parked.key, parked.since_position),
            };
        }
        all
    }

    fn report(&self, run: &Run) {
        let positions = self.streams.values().chain(self.strays.values());
        run.report_parked(self.streams.len() + self.strays.len(), positions.min().copied());
    }
}

impl<V: View> Projector<V> {
    pub(crate) fn new(parts: ProjectorParts) -> Self {
        let ProjectorParts { store, feeds, feed, tick, ensure_built } = parts;
        let parked = ParkedKeys::new(store.views().clone());
        let (table, blocked) = (ViewTable::served(), Mutex::default());
        Self { store, feeds, feed, table, parked, tick, ensure_built, blocked }
    }

    async fn park(&self, run: &Run, tx: &mut Tx, stop: StreamStop<'_>) -> Result<(), Halt> {
        let StreamStop { event, reason, attempts } = stop;
        let (key, position, sequence) = (event.key(), event.position, event.sequence);
        tracing::error!(view = run.name(), key, position, sequence, reason, "a stream is parked");
        let parked = Parked {
            key,
            state: Parked::PARKED.to_owned(),
            reason,
            since_position: event.position,
            since_time: event.recorded_at,
            attempts,
        };
        Ok(ParkedKeys::park(tx, run.name(), &parked, Duration::ZERO).await?)
    }

    /// Parks the streams of rows that can't be read, so that a retry writes them again from the log.
    async fn park_broken(
        &self,
        run: &Run,
        tx: &mut Tx,
        broken: BTreeMap<i64, String>,
        batch: &[Delivery],
    ) -> Result<Vec<(i64, i64)>, Halt> {
        let mut parked = vec![];
        for (number, reason) in broken {
            let is_its = |event: &&Arc<RecordedEvent>| {
                self.wants(&event.stream.kind) && event.stream.number == number
            };
            let Some(first) = batch.iter().map(|delivery| &delivery.event).find(is_its) else {
                continue;
            };
            let key = first.key();
            tracing::error!(
                view = run.name(),
                key,
                reason,
                "a row of a view is damaged and is rebuilt"
            );
            let row = Parked {
                key,
                state: Parked::RETRYING.to_owned(),
                reason,
                since_position: first.position,
                since_time: first.recorded_at,
                attempts: 0,
            };
            ParkedKeys::park(tx, run.name(), &row, Duration::ZERO).await?;
            parked.push((number, first.position));
        }
        Ok(parked)
    }
}

#[async_trait]
impl<V: View> Handler for Projector<V> {
    async fn prepare(&self) -> Result<(), Halt> {
        // The view is built at the start of the program, except where the database didn't answer.
        (self.ensure_built)(self.store.clone(), self.feeds.clone()).await
    }

    async fn begin(&self, run: &Run) -> Result<(), Halt> {
        // This program may be able to read events that an older one couldn't.
        self.parked.request_retry(run.name(), None).await?;
        let mut blocked = self.blocked.lock().await;
        *blocked = ParkedStreams::of(self.parked.all(run.name()).await?);
        blocked.report(run);
        Ok(())
    }

    fn wants(&self, aggregate: &str) -> bool {
        aggregate == V::AGGREGATE
    }

    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt> {
        let mut blocked = self.blocked.lock().await;
        let concerned = batch
            .iter()
            .map(|delivery| &delivery.event)
            .filter(|event| self.wants(&event.stream.kind) && event.has_stream());
        let numbers: BTreeSet<i64> = concerned.map(|event| event.stream.number).collect();
        let mut known: BTreeSet<i64> = blocked.streams.keys().copied().collect();
        let numbers: Vec<i64> = numbers.difference(&known).copied().collect();
        let FoundRows { mut rows, broken } =
            self.table.look_up(self.store.views(), &numbers).await?;
        // The background work folds these again from their streams.
        known.extend(broken.keys());
        let done = fold_batch::<V>(&mut rows, &known, batch);
        let reached = match (done.reached, done.newer) {
            (Some(reached), _) => reached,
            (None, Some(newer)) => return Err(Halt::Newer(newer)),
            (None, None) => stored,
        };
        let touched: Vec<&Stored<V::Row>> =
            done.touched.iter().filter_map(|number| rows.get(number)).collect();
        let mut tx = self.store.views().begin().await?;
        run.advance(&mut tx, stored, reached).await?;
        self.table.write(&mut tx, &touched).await?;
        for (number, event) in &done.poisoned {
            if let Some(row) = rows.get(number) {
                let stop = StreamStop { event, reason: stale_reason(row), attempts: 1 };
                self.park(run, &mut tx, stop).await?;
            }
        }
        for (event, reason) in &done.strays {
            let stop = StreamStop { event, reason: reason.clone(), attempts: 1 };
            self.park(run, &mut tx, stop).await?;
        }
        let broken = self.park_broken(run, &mut tx, broken, batch).await?;
        failpoint!("projection.rows", run.name());
        tx.commit().await?;
        blocked.streams.extend(broken);
        let poisoned = done.poisoned.iter().map(|(number, event)| (*number, event.position));
        blocked.streams.extend(poisoned);
        blocked.strays.extend(done.strays.iter().map(|(event, _)| (event.key(), event.position)));
        blocked.report(run);
        Ok(Reached::CommittedTo(reached))
    }

    async fn background(&self, run: &Run) -> Halt {
        loop {
            if let Err(halt) = self.repair(run).await {
                return halt;
            }
            sleep(self.tick).await;
        }
    }
}

fn stale_reason<R>(row: &Stored<R>) -> String {
    row.stale.as_ref().map(|stale| stale.reason.clone()).unwrap_or_default()
}
