//! Keeps a view: folds each batch in memory and writes the touched rows together with the checkpoint.
//!
//! A row moves from one sequence to the next only: a lower one was taken in before, a higher one means
//! that something is missing. What can't be taken in parks its stream: the row says since when and why,
//! later events stay in the log, all other streams go on. Asked again, the row is brought up to date
//! from the log, as a rebuild would.

use crate::decoded::{Unreadable, decode};
use crate::feed::Delivery;
use crate::subscription::{Halt, Handler, Run};
use crate::view::View;
use crate::view_table::{Stored, ViewTable};
use async_trait::async_trait;
use gdmarket_store::{Parked, ParkedKeys, RecordedEvent, Store, StreamId, Tx, failpoint};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// How many parked streams are looked at in one go.
const HEAL_AT_ONCE: u32 = 100;

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

/// What became of an event.
pub(crate) enum Folded {
    Taken,
    /// It was in the row before.
    Old,
    Poison(String),
    Newer(String),
}

impl<V: View> Projector<V> {
    pub(crate) fn new(store: Store, generation: u32, tick: Duration) -> Self {
        let parked = ParkedKeys::new(store.views().clone());
        let table = ViewTable::new(generation);
        Self { store, table, parked, tick, stuck: Mutex::default() }
    }

    /// What the view's subscription is called.
    pub(crate) fn name(generation: u32) -> String {
        format!("{}_v{}_g{generation}", V::NAME, V::VERSION)
    }

    /// Folds what concerns the view; says where it had to stop for a newer program.
    pub(crate) fn fold_batch(
        rows: &mut HashMap<i64, Stored<V::Row>>,
        stuck: &BTreeSet<i64>,
        batch: &[Delivery],
    ) -> Batch {
        let mut done = Batch::default();
        for Delivery { event, .. } in batch {
            let number = event.stream.number;
            let concerns = event.stream.kind == V::AGGREGATE && !stuck.contains(&number);
            if concerns && !done.poisoned.contains_key(&number) {
                let row = rows.entry(number).or_insert_with(|| Stored::new(number));
                match fold::<V>(row, event) {
                    Folded::Old => {}
                    Folded::Taken => {
                        done.touched.insert(number);
                    }
                    Folded::Poison(reason) => {
                        row.stale = Some((event.recorded_at, reason));
                        done.touched.insert(number);
                        done.poisoned.insert(number, Arc::clone(event));
                    }
                    Folded::Newer(what) => {
                        done.newer = Some(what);
                        return done;
                    }
                }
            }
            done.reached = Some(event.position);
        }
        done
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

    /// Brings what was asked again up to date, from the log.
    async fn heal(&self, run: &Run) -> Result<(), Halt> {
        for parked in self.parked.due(&run.name, HEAL_AT_ONCE).await? {
            let number = parked.key.rsplit('/').next().and_then(|number| number.parse().ok());
            if let Some(number) = number {
                self.heal_stream(run, number, &parked).await?;
            } else {
                tracing::error!(view = run.name, key = parked.key, "no stream has this key");
            }
        }
        Ok(())
    }

    async fn heal_stream(&self, run: &Run, number: i64, parked: &Parked) -> Result<(), Halt> {
        let mut stuck = self.stuck.lock().await;
        let mut tx = self.store.views().begin().await?;
        let stored = run.hold(&mut tx).await?;
        let mut rows = self.table.load(self.store.views(), &[number]).await?;
        let mut row = rows.remove(&number).unwrap_or_else(|| Stored::new(number));
        row.stale = None;
        let stream = StreamId::new(V::AGGREGATE, number);
        let events = self.store.log().stream(&stream, row.sequence).await?;
        let mut poison = None;
        // Beyond the checkpoint the batches go on by themselves.
        for event in events.into_iter().filter(|event| event.position <= stored) {
            match fold::<V>(&mut row, &event) {
                Folded::Taken | Folded::Old => {}
                Folded::Poison(reason) => {
                    row.stale = Some((event.recorded_at, reason));
                    poison = Some(event);
                    break;
                }
                Folded::Newer(what) => return Err(Halt::Newer(what)),
            }
        }
        self.table.write(&mut tx, &[&row]).await?;
        match &poison {
            Some(event) => self.park(run, &mut tx, &row, (event, parked.attempts + 1)).await?,
            None => {
                ParkedKeys::unpark(&mut tx, &run.name, &parked.key).await?;
            }
        }
        tx.commit().await?;
        if poison.is_none() {
            tracing::info!(view = run.name, key = parked.key, "a parked stream goes on");
            stuck.remove(&number);
        }
        run.report_parked(stuck.len());
        Ok(())
    }
}

/// What folding a batch came to.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) touched: BTreeSet<i64>,
    pub(crate) poisoned: BTreeMap<i64, Arc<RecordedEvent>>,
    /// The last event that was dealt with.
    pub(crate) reached: Option<i64>,
    /// What it had to stop for.
    pub(crate) newer: Option<String>,
}

#[async_trait]
impl<V: View> Handler for Projector<V> {
    async fn prepare(&self) -> Result<(), Halt> {
        Ok(self.table.create(self.store.views()).await?)
    }

    async fn begin(&self, run: &Run) -> Result<(), Halt> {
        // This program may know how to read what an older one couldn't.
        self.parked.ask(&run.name, None).await?;
        let mut stuck = self.stuck.lock().await;
        stuck.clear();
        for parked in self.parked.all(&run.name).await? {
            stuck.extend(parked.key.rsplit('/').next().and_then(|n| n.parse::<i64>().ok()));
        }
        run.report_parked(stuck.len());
        Ok(())
    }

    fn wants(&self, aggregate: &str) -> bool {
        aggregate == V::AGGREGATE
    }

    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<i64, Halt> {
        let mut stuck = self.stuck.lock().await;
        let concerned = batch.iter().filter(|delivery| self.wants(&delivery.event.stream.kind));
        let numbers: BTreeSet<i64> = concerned.map(|d| d.event.stream.number).collect();
        let numbers: Vec<i64> = numbers.difference(&stuck).copied().collect();
        let mut rows = self.table.load(self.store.views(), &numbers).await?;
        let done = Self::fold_batch(&mut rows, &stuck, batch);
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
        failpoint!("projection.rows");
        tx.commit().await?;
        stuck.extend(done.poisoned.keys());
        run.report_parked(stuck.len());
        Ok(reached)
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

/// Takes an event into a row; a panic of the fold is poison, and leaves the row as it was.
pub(crate) fn fold<V: View>(stored: &mut Stored<V::Row>, event: &RecordedEvent) -> Folded {
    if event.sequence <= stored.sequence {
        return Folded::Old;
    }
    if event.sequence != stored.sequence + 1 {
        let (from, to) = (stored.sequence, event.sequence);
        return Folded::Poison(format!("sequence {to} came after {from}: something is missing"));
    }
    let decoded = match decode(event) {
        Ok(decoded) => decoded,
        Err(Unreadable::Newer(what)) => return Folded::Newer(what),
        Err(Unreadable::Broken(why)) => return Folded::Poison(why),
    };
    let mut row = stored.row.clone();
    let folding = catch_unwind(AssertUnwindSafe(|| {
        let folded = V::fold(&mut row, decoded);
        folded.map(|()| (V::filters(&row), V::is_gone(&row)))
    }));
    match folding {
        Ok(Ok(_)) => {
            stored.row = row;
            stored.sequence = event.sequence;
            Folded::Taken
        }
        Ok(Err(error)) => Folded::Poison(error.to_string()),
        Err(_) => Folded::Poison("the view broke down on it".to_owned()),
    }
}

#[cfg(test)]
mod tests;
