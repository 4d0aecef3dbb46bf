//! Replacing the served view by a build: in one transaction, at the checkpoints of the served view, so that
//! readers see either of them and no event is skipped or applied twice.

use super::build::Build;
use super::build_source::{BuildSource, position_in};
use super::fold::{Poisoned, parked};
use super::{ReplayError, name_of};
use crate::engine::feed::{Delivery, FeedError};
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

/// Events per query.
const BATCH: u32 = 500;
/// The number of tries to replace the served view while readers hold a lock.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// The events of one log that the last transaction folded.
struct Followed {
    /// The position of the last one.
    to: i64,
    /// Their number, equal to the log's count.
    events: u64,
    parked: Vec<Parked>,
}

impl<V: View> Build<V> {
    /// Replaces the served view by the build; returns the number of events of the last transaction.
    pub(super) async fn promote(mut self) -> Result<u64, ReplayError> {
        let mut tries = 1;
        loop {
            match self.try_promote().await {
                Ok(followed) => {
                    let (generation, position) = (self.generation, built_to(&followed));
                    tracing::debug!(view = V::NAME, generation, position, "served");
                    self.lease.end().await;
                    return Ok(followed.iter().map(|followed| followed.events).sum());
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

    async fn try_promote(&mut self) -> Result<Vec<Followed>, ReplayError> {
        let name = V::subscription();
        let mut tx = self.store.views().begin().await?;
        // The runners of the served view can't write from here on.
        let served = Checkpoints::lock(&mut tx, &name).await?;
        let mut followed = vec![];
        for source in &self.sources {
            let position = position_in(&served, &source.log).unwrap_or(0);
            followed.push(self.follow(&mut tx, source, position).await?);
        }
        let right = self.lease.right();
        if !Leases::is_held(&mut tx, &right.name, &right.holder, right.epoch).await? {
            return Err(ReplayError::Busy(name_of::<V>()));
        }
        self.table.serve(&mut tx).await?;
        self.replace_subscriptions(&mut tx, &followed).await?;
        Generations::serve(&mut tx, &name, self.generation, built_to(&followed)).await?;
        tx.commit().await?;
        Ok(followed)
    }

    /// Lets the subscriptions of the view continue after the build, and fences their runners.
    async fn replace_subscriptions(
        &self,
        tx: &mut Tx,
        followed: &[Followed],
    ) -> Result<(), ReplayError> {
        let name = V::subscription();
        let mut checkpoints = vec![];
        for (source, Followed { to, parked, .. }) in self.sources.iter().zip(followed) {
            let subscription = source.subscription(&name);
            let lease_epoch = Leases::revoke(tx, &subscription).await?;
            ParkedKeys::replace(tx, &subscription, parked).await?;
            // The log of a service that hasn't answered yet isn't known: its loop makes the checkpoint.
            if source.is_own() || *to > 0 {
                checkpoints.push(Checkpoint { source: source.log, position: *to, lease_epoch });
            }
        }
        Ok(Checkpoints::put(tx, &name, &checkpoints).await?)
    }

    /// Folds the events of a log that the served view has applied since, inside `tx`, and compares their number with
    /// the log's own count.
    async fn follow(
        &self,
        tx: &mut Tx,
        source: &BuildSource,
        until: i64,
    ) -> Result<Followed, ReplayError> {
        let (mut reached, mut read) = (source.reached, 0);
        let no_rest = |_| std::future::ready(());
        let expected = if source.is_own() {
            let count = self.store.log().count_of(V::AGGREGATE, reached, until, no_rest);
            Some(count.await?)
        } else {
            None
        };
        let mut poisoned = source.poisoned.clone();
        let mut rows = HashMap::new();
        while reached < until {
            let mut events = self.events_after(source, reached).await?;
            events.retain(|event| event.position <= until);
            let Some(last) = events.last().map(|event| event.position) else { break };
            read += self.fold_more(tx, events, &mut rows, &mut poisoned).await?;
            reached = last;
        }
        if let Some(expected) = expected.filter(|expected| read != *expected) {
            return Err(ReplayError::Short { read, expected });
        }
        let parked = poisoned.into_values().collect();
        Ok(Followed { to: reached.max(until), events: read, parked })
    }

    async fn events_after(
        &self,
        source: &BuildSource,
        position: i64,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReplayError> {
        if source.is_own() {
            let events = self.store.log().read_after(position, BATCH).await?;
            return Ok(events.into_iter().map(Arc::new).collect());
        }
        let mut page = source.of.feed.read_after(position, BATCH).await?;
        page.retain(|delivery| delivery.event.position > position);
        if page.first().is_some_and(|first| first.previous > position) {
            return Err(
                FeedError::Refused("the log of another service has a gap".to_owned()).into()
            );
        }
        Ok(page.into_iter().map(|delivery| delivery.event).collect())
    }

    /// Folds more events and writes the changed rows; returns the number of events of this view.
    async fn fold_more(
        &self,
        tx: &mut Tx,
        events: Vec<Arc<RecordedEvent>>,
        rows: &mut HashMap<i64, Stored<V::Row>>,
        poisoned: &mut Poisoned,
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
        let blocked = poisoned.keys().copied().collect();
        let deliver = |event| Delivery { previous: 0, event };
        let batch: Vec<Delivery> = events.into_iter().map(deliver).collect();
        let done = fold_batch::<V>(rows, &blocked, &batch);
        if let Some(newer) = done.newer {
            return Err(ReplayError::Newer(newer));
        }
        let touched: Vec<_> = done.touched.iter().filter_map(|number| rows.get(number)).collect();
        self.table.write(tx, &touched).await?;
        poisoned.extend(done.poisoned.iter().map(|(number, event)| {
            let stale = rows.get(number).and_then(|row| row.stale.clone());
            let reason = stale.map(|stale| stale.reason).unwrap_or_default();
            (*number, parked(event.as_event_ref(), reason))
        }));
        poisoned.extend(
            done.strays
                .into_iter()
                .map(|(event, reason)| (-event.position, parked(event.as_event_ref(), reason))),
        );
        Ok(read)
    }
}

/// The position in the first log, which is the own one unless the view reads others only.
fn built_to(followed: &[Followed]) -> i64 {
    followed.first().map_or(0, |followed| followed.to)
}
