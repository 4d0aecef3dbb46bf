//! Keeps a view: folds each batch in memory and writes the touched rows together with the checkpoint.
//!
//! A row moves from one sequence to the next only: a lower one was taken in before, a higher one means
//! that something is missing. What can't be taken in parks its stream: the row says since when and why,
//! later events stay in the log, all other streams go on. A row of the log that is of no stream parks alone. Asked again, the row is brought up to date
//! from the log, as a rebuild would.

mod fold;
mod heal;

pub(crate) use fold::{Folded, fold, fold_batch};

use crate::feed::Delivery;
use crate::replay::{self, ReplayError};
use crate::subscription::{Halt, Handler, Reached, Run};
use crate::view::View;
use crate::view_table::{Found, Stored, ViewTable};
use async_trait::async_trait;
use gdmarket_store::{Parked, ParkedKeys, RecordedEvent, Store, StreamId, Tx, failpoint};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// The handler behind a view.
pub(crate) struct Projector<V> {
    store: Store,
    table: ViewTable<V>,
    parked: ParkedKeys,
    tick: Duration,
    /// What is parked; held from reading rows until they are written, so that batches and healing never
    /// work on the same row.
    stuck: Mutex<Blocked>,
}

/// What is parked of a view, with the position of the event that each stopped at.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    /// Streams, by number.
    streams: BTreeMap<i64, i64>,
    /// Rows of the log that are of no stream, by key.
    strays: BTreeMap<String, i64>,
}

impl Blocked {
    fn of(parked: Vec<Parked>) -> Self {
        let mut blocked = Self::default();
        for parked in parked {
            match parked.key.parse::<StreamId>() {
                Ok(stream) => blocked.streams.insert(stream.number, parked.since_position),
                Err(_) => blocked.strays.insert(parked.key, parked.since_position),
            };
        }
        blocked
    }

    fn report(&self, run: &Run) {
        let positions = self.streams.values().chain(self.strays.values());
        run.report_parked(self.streams.len() + self.strays.len(), positions.min().copied());
    }
}

impl<V: View> Projector<V> {
    pub(crate) fn new(store: Store, tick: Duration) -> Self {
        let parked = ParkedKeys::new(store.views().clone());
        Self { store, table: ViewTable::served(), parked, tick, stuck: Mutex::default() }
    }

    async fn park(
        &self,
        run: &Run,
        tx: &mut Tx,
        reason: String,
        (event, attempts): (&RecordedEvent, i64),
    ) -> Result<(), Halt> {
        let (key, position, sequence) = (event.key(), event.position, event.sequence);
        tracing::error!(view = run.name, key, position, sequence, reason, "a stream is parked");
        let parked = Parked {
            key,
            state: Parked::PARKED.to_owned(),
            reason,
            since_position: event.position,
            since_time: event.recorded_at,
            attempts,
        };
        Ok(ParkedKeys::park(tx, &run.name, &parked, Duration::ZERO).await?)
    }

    /// Has the rows that can't be read written again from their streams.
    async fn park_broken(
        &self,
        run: &Run,
        tx: &mut Tx,
        (broken, batch): (BTreeMap<i64, String>, &[Delivery]),
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
                view = run.name,
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
            ParkedKeys::park(tx, &run.name, &row, Duration::ZERO).await?;
            parked.push((number, first.position));
        }
        Ok(parked)
    }
}

#[async_trait]
impl<V: View> Handler for Projector<V> {
    async fn prepare(&self) -> Result<(), Halt> {
        // Built already, but for a first start that met no database.
        match replay::ensure_built::<V>(&self.store).await {
            Ok(()) => Ok(()),
            Err(ReplayError::Store(error)) => Err(error.into()),
            Err(ReplayError::Newer(what)) => Err(Halt::Newer(what)),
            Err(other) => Err(Halt::Refused(other.to_string())),
        }
    }

    async fn begin(&self, run: &Run) -> Result<(), Halt> {
        // This program may know how to read what an older one couldn't.
        self.parked.ask(&run.name, None).await?;
        let mut stuck = self.stuck.lock().await;
        *stuck = Blocked::of(self.parked.all(&run.name).await?);
        stuck.report(run);
        Ok(())
    }

    fn wants(&self, aggregate: &str) -> bool {
        aggregate == V::AGGREGATE
    }

    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt> {
        let mut stuck = self.stuck.lock().await;
        let concerned = batch
            .iter()
            .map(|delivery| &delivery.event)
            .filter(|event| self.wants(&event.stream.kind) && event.has_stream());
        let numbers: BTreeSet<i64> = concerned.map(|event| event.stream.number).collect();
        let mut known: BTreeSet<i64> = stuck.streams.keys().copied().collect();
        let numbers: Vec<i64> = numbers.difference(&known).copied().collect();
        let Found { mut rows, broken } = self.table.look_up(self.store.views(), &numbers).await?;
        // Read again from their streams, beside the batches.
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
                self.park(run, &mut tx, stale_reason(row), (event, 1)).await?;
            }
        }
        for (event, reason) in &done.strays {
            self.park(run, &mut tx, reason.clone(), (event, 1)).await?;
        }
        let broken = self.park_broken(run, &mut tx, (broken, batch)).await?;
        failpoint!("projection.rows", &run.name);
        tx.commit().await?;
        stuck.streams.extend(broken);
        let poisoned = done.poisoned.iter().map(|(number, event)| (*number, event.position));
        stuck.streams.extend(poisoned);
        stuck.strays.extend(done.strays.iter().map(|(event, _)| (event.key(), event.position)));
        stuck.report(run);
        Ok(Reached::Stored(reached))
    }

    async fn beside(&self, run: &Run) -> Halt {
        loop {
            if let Err(halt) = self.heal(run).await {
                return halt;
            }
            sleep(self.tick).await;
        }
    }
}

fn stale_reason<R>(row: &Stored<R>) -> String {
    row.stale.as_ref().map(|(_, reason)| reason.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
