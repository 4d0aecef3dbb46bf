//! Serving a build in place of what is served: in one transaction, at the very position where the
//! served view stands, so that readers see the one or the other and nothing is skipped or doubled.

use super::build::Build;
use super::fold::{Poisoned, parked};
use super::{ReplayError, name_of};
use crate::engine::feed::Delivery;
use crate::engine::projector::fold_batch;
use crate::engine::view::View;
use crate::engine::view_table::Stored;
use gdmarket_store::{
    Checkpoint, Checkpoints, Generations, Leases, Parked, ParkedKeys, RecordedEvent, StoreError, Tx,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Events read at once.
const BATCH: u32 = 500;
/// How often taking the place is tried when readers are in the way.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// What the last transaction took in.
struct Followed {
    /// Up to here.
    to: i64,
    /// How many events: as many as the log counts.
    events: u64,
    parked: Vec<Parked>,
}

impl<V: View> Build<V> {
    /// Serves the build from now on; how many events it took in last.
    pub(super) async fn promote(mut self) -> Result<u64, ReplayError> {
        let mut tries = 1;
        loop {
            match self.try_promote().await {
                Ok(Followed { to, events, .. }) => {
                    let generation = self.generation;
                    tracing::debug!(view = V::NAME, generation, position = to, "served");
                    self.lease.end().await;
                    return Ok(events);
                }
                Err(ReplayError::Store(StoreError::Unavailable(why))) if tries < TRIES => {
                    tracing::debug!(view = V::NAME, why, "the build isn't served yet");
                    tries += 1;
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_promote(&mut self) -> Result<Followed, ReplayError> {
        let name = V::subscription();
        let source = *self.store.identity();
        let mut tx = self.store.views().begin().await?;
        // The runner of what is served writes nothing from here on.
        let served = Checkpoints::lock(&mut tx, &name).await?;
        let served = served.filter(|(of, _)| *of == source).map(|(_, position)| position);
        let followed = self.follow(&mut tx, served.unwrap_or(0)).await?;
        let right = self.lease.right();
        if !Leases::is_held(&mut tx, &right.name, &right.holder, right.epoch).await? {
            return Err(ReplayError::Busy(name_of::<V>()));
        }
        self.table.serve(&mut tx).await?;
        let epoch = Leases::revoke(&mut tx, &name).await?;
        let checkpoint = Checkpoint { position: followed.to, lease_epoch: epoch };
        Checkpoints::put(&mut tx, &name, &source, checkpoint).await?;
        ParkedKeys::replace(&mut tx, &name, &followed.parked).await?;
        Generations::serve(&mut tx, &name, self.generation, followed.to).await?;
        tx.commit().await?;
        Ok(followed)
    }

    /// Takes in what the served view has taken in since, inside `tx`, and holds it against the log's
    /// own count.
    async fn follow(&self, tx: &mut Tx, until: i64) -> Result<Followed, ReplayError> {
        let (mut reached, mut read) = (self.reached, 0);
        let no_rest = |_| std::future::ready(());
        let count = self.store.log().count_of(V::AGGREGATE, reached, until, no_rest);
        let expected = count.await?;
        let mut poisoned = self.poisoned.clone();
        let mut rows = HashMap::new();
        while reached < until {
            let mut events = self.store.log().read_after(reached, BATCH).await?;
            events.retain(|event| event.position <= until);
            let Some(last) = events.last().map(|event| event.position) else { break };
            read += self.take_in(tx, events, (&mut rows, &mut poisoned)).await?;
            reached = last;
        }
        if read != expected {
            return Err(ReplayError::Short { read, expected });
        }
        let parked = poisoned.into_values().collect();
        Ok(Followed { to: reached.max(until), events: read, parked })
    }

    /// Folds some more events and writes the rows they touch; how many were this view's.
    async fn take_in(
        &self,
        tx: &mut Tx,
        events: Vec<RecordedEvent>,
        (rows, poisoned): (&mut HashMap<i64, Stored<V::Row>>, &mut Poisoned),
    ) -> Result<u64, ReplayError> {
        let concerned = || {
            let of_view = events.iter().filter(|event| event.stream.kind == V::AGGREGATE);
            of_view.map(|event| if event.has_stream() { event.stream.number } else { 0 })
        };
        let read = u64::try_from(concerned().count()).unwrap_or(0);
        let missing: BTreeSet<i64> =
            concerned().filter(|number| *number > 0 && !rows.contains_key(number)).collect();
        let missing: Vec<i64> = missing.into_iter().collect();
        rows.extend(self.table.load(self.store.views(), &missing).await?);
        let stuck = poisoned.keys().copied().collect();
        let deliver = |event| Delivery { previous: 0, event: Arc::new(event) };
        let batch: Vec<Delivery> = events.into_iter().map(deliver).collect();
        let done = fold_batch::<V>(rows, &stuck, &batch);
        if let Some(newer) = done.newer {
            return Err(ReplayError::Newer(newer));
        }
        let touched: Vec<_> = done.touched.iter().filter_map(|number| rows.get(number)).collect();
        self.table.write(tx, &touched).await?;
        poisoned.extend(done.poisoned.iter().map(|(number, event)| {
            let stale = rows.get(number).and_then(|row| row.stale.clone());
            let reason = stale.map(|(_, reason)| reason).unwrap_or_default();
            (*number, parked(event.seen(), reason))
        }));
        poisoned.extend(
            done.strays
                .into_iter()
                .map(|(event, reason)| (-event.position, parked(event.seen(), reason))),
        );
        Ok(read)
    }
}
