//! Keeps a view: folds each batch in memory and writes the touched rows together with the checkpoint.
//!
//! A row moves from one sequence to the next only: a lower one was taken in before, a higher one means
//! that something is missing. What can't be taken in parks its stream: the row says since when and why,
//! later events stay in the log, all other streams go on. Asked again, the row is brought up to date
//! from the log, as a rebuild would.

mod fold;
mod heal;

pub(crate) use fold::{Folded, fold, fold_batch};

use crate::feed::Delivery;
use crate::replay::{self, ReplayError};
use crate::subscription::{Halt, Handler, Reached, Run};
use crate::view::View;
use crate::view_table::{Stored, ViewTable};
use async_trait::async_trait;
use gdmarket_store::{Parked, ParkedKeys, RecordedEvent, Store, StreamId, Tx, failpoint};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// The handler behind a view.
pub(crate) struct Projector<V> {
    store: Store,
    table: ViewTable<V>,
    parked: ParkedKeys,
    tick: Duration,
    /// Streams that can't go on; held from reading rows until they are written, so that batches and
    /// healing never work on the same row.
    stuck: Mutex<BTreeSet<i64>>,
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
        row: &Stored<V::Row>,
        (event, attempts): (&RecordedEvent, i64),
    ) -> Result<(), Halt> {
        let reason = row.stale.as_ref().map(|(_, reason)| reason.clone()).unwrap_or_default();
        tracing::error!(
            view = run.name, stream = %event.stream, sequence = event.sequence, reason,
            "a stream is parked"
        );
        let parked = Parked {
            key: event.stream.to_string(),
            state: Parked::PARKED.to_owned(),
            reason,
            since_position: event.position,
            since_time: event.recorded_at,
            attempts,
        };
        Ok(ParkedKeys::park(tx, &run.name, &parked, Duration::ZERO).await?)
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
        stuck.clear();
        for parked in self.parked.all(&run.name).await? {
            stuck.extend(parked.key.parse::<StreamId>().map(|stream| stream.number));
        }
        run.report_parked(stuck.len());
        Ok(())
    }

    fn wants(&self, aggregate: &str) -> bool {
        aggregate == V::AGGREGATE
    }

    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt> {
        let mut stuck = self.stuck.lock().await;
        let concerned = batch.iter().filter(|delivery| self.wants(&delivery.event.stream.kind));
        let numbers: BTreeSet<i64> = concerned.map(|d| d.event.stream.number).collect();
        let numbers: Vec<i64> = numbers.difference(&stuck).copied().collect();
        let mut rows = self.table.load(self.store.views(), &numbers).await?;
        let done = fold_batch::<V>(&mut rows, &stuck, batch);
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
                self.park(run, &mut tx, row, (event, 1)).await?;
            }
        }
        failpoint!("projection.rows", &run.name);
        tx.commit().await?;
        stuck.extend(done.poisoned.keys());
        run.report_parked(stuck.len());
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

#[cfg(test)]
mod tests;
