//! Parked keys, for operators: to list, retry or drop.
//!
//! The running loop does the retry that is requested here. Dropping stores the operator's reason: a process
//! manager then continues after the event that it stopped at; a view's row stays stale until another retry
//! or a rebuild.

mod deadlines;
mod parked_key;

use crate::inspect::event_view::EventView;
use crate::queries::QueryError;
use chrono::DateTime;
use gdmarket_store::{
    EventFilter, Generations, Parked, ParkedKeys, RecordedEvent, Store, SubscriptionId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub use parked_key::{DroppedEvent, ParkedKey, ParkedKeyDetail, RetryOutcome};

/// Queued events that are shown.
const SHOWN: u32 = 100;
/// How often to check whether a key was tried again.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The data of other tables that is shown with every key.
struct Around {
    /// The subscriptions of views.
    views: BTreeSet<String>,
    /// The reasons of dropped events, by subscription, key and position.
    dropped: BTreeMap<(String, String, i64), String>,
}

impl Around {
    fn is_view(&self, subscription: &str) -> bool {
        self.views.contains(&SubscriptionId::parse(subscription).subscriber)
    }
}

/// Whether the events of a subscription are in the log of another service.
fn is_at_other_service(subscription: &str) -> bool {
    SubscriptionId::parse(subscription).source.is_some()
}

/// The parked keys and blocked deadlines of one store.
#[derive(Debug, Clone)]
pub struct ParkedWork {
    store: Store,
    parked: ParkedKeys,
}

impl ParkedWork {
    /// The parked work of this store.
    pub fn new(store: Store) -> Self {
        let parked = ParkedKeys::new(store.views().clone());
        Self { store, parked }
    }

    /// Lists all of it, or that of one key.
    pub async fn list(&self, key: Option<&str>) -> Result<Vec<ParkedKey>, QueryError> {
        let around = self.around().await?;
        let mut all = self.blocked_deadlines(key, &around).await?;
        for (subscription, parked) in self.parked.everything(key).await? {
            all.push(self.key(subscription, parked, &around).await?);
        }
        Ok(all)
    }

    async fn around(&self) -> Result<Around, QueryError> {
        let generations = Generations::new(self.store.views().clone()).all().await?;
        let dropped = self.parked.dropped().await?.into_iter();
        Ok(Around {
            views: generations.into_iter().map(|of| of.view).collect(),
            dropped: dropped
                .map(|of| ((of.subscription, of.key, of.position), of.reason))
                .collect(),
        })
    }

    /// A key with the length of its queue.
    async fn key(
        &self,
        subscription: String,
        parked: Parked,
        around: &Around,
    ) -> Result<ParkedKey, QueryError> {
        let is_view = around.is_view(&subscription);
        let queued = self.queued(is_view, &subscription, &parked).await?;
        let noted = (subscription.clone(), parked.key.clone(), parked.since_position);
        Ok(ParkedKey {
            is_view,
            is_deadline: false,
            queued,
            dropped: around.dropped.get(&noted).cloned(),
            since: DateTime::from_timestamp_micros(parked.since_time).unwrap_or_default(),
            subscription,
            key: parked.key,
            state: parked.state,
            reason: parked.reason,
            since_position: parked.since_position,
            attempts: parked.attempts,
        })
    }

    /// Every event that was ever dropped, the latest last.
    pub async fn dropped(&self) -> Result<Vec<DroppedEvent>, QueryError> {
        let dropped = self.parked.dropped().await?.into_iter();
        Ok(dropped.map(DroppedEvent::from).collect())
    }

    /// One key with its queued events, or a deadline with the event that set it; `None` if the key isn't parked.
    pub async fn show(
        &self,
        subscription: &str,
        key: &str,
    ) -> Result<Option<ParkedKeyDetail>, QueryError> {
        let around = self.around().await?;
        let Some(parked) = self.parked.find(subscription, key).await? else {
            return self.show_deadline(subscription, key, &around).await;
        };
        let is_view = around.is_view(subscription);
        let events = self.waiting(is_view, subscription, &parked).await?;
        let key = self.key(subscription.to_owned(), parked, &around).await?;
        let events = events.iter().map(EventView::from).collect();
        Ok(Some(ParkedKeyDetail { key, events }))
    }

    /// Requests a retry of a key, dropped or not, by the running loop.
    pub async fn request_retry(&self, of: &ParkedKey) -> Result<(), QueryError> {
        if of.is_deadline {
            return self.request_deadline_retry(of).await;
        }
        self.parked.request_retry(&of.subscription, Some(&of.key)).await?;
        Ok(())
    }

    /// The outcome of a requested retry, where `of` is the key as it was before. Waits for it until `until`.
    pub async fn outcome(
        &self,
        of: &ParkedKey,
        until: Instant,
    ) -> Result<RetryOutcome, QueryError> {
        loop {
            let tried = if of.is_deadline {
                self.deadline_outcome(of).await?
            } else {
                self.key_outcome(of).await?
            };
            match tried {
                Some(outcome) => return Ok(outcome),
                None if Instant::now() >= until => return Ok(RetryOutcome::Pending),
                None => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// The outcome of a key's retry by now; `None` if it wasn't tried yet.
    async fn key_outcome(&self, of: &ParkedKey) -> Result<Option<RetryOutcome>, QueryError> {
        Ok(match self.parked.find(&of.subscription, &of.key).await? {
            None => Some(RetryOutcome::Unparked),
            Some(now) if now.attempts != of.attempts => {
                let around = self.around().await?;
                let now = self.key(of.subscription.clone(), now, &around).await?;
                Some(RetryOutcome::ParkedAgain(now))
            }
            Some(_) => None,
        })
    }

    /// Drops the event that a key stopped at, and keeps the reason; `false` if the key was unparked
    /// meanwhile, or the event was dropped before: then the earlier reason is kept.
    pub async fn drop_event(&self, of: &ParkedKey, reason: &str) -> Result<bool, QueryError> {
        if of.is_deadline {
            return self.drop_deadline(of, reason).await;
        }
        let (subscription, key) = (&of.subscription, &of.key);
        // A process manager continues at the next queued event.
        let queue = self.parked.queued(subscription, key, 2).await?;
        let parked = of.parked();
        let mut tx = self.store.views().begin().await?;
        let is_new = ParkedKeys::note_dropped(&mut tx, subscription, &parked, reason).await?;
        if !of.is_view {
            let dropped = of.since_position;
            if !ParkedKeys::dequeue(&mut tx, subscription, key, dropped).await? {
                tx.rollback().await?;
                return Ok(false);
            }
            let next = queue.into_iter().find(|waiting| *waiting > dropped).unwrap_or(dropped);
            let state = Parked::RETRYING.to_owned();
            let rest = Parked { state, since_position: next, ..parked };
            ParkedKeys::park(&mut tx, subscription, &rest, Duration::ZERO).await?;
        }
        tx.commit().await?;
        Ok(is_new || !of.is_view)
    }

    /// The number of queued events. Those of a view stay in their stream, those of a process manager are listed.
    async fn queued(
        &self,
        is_view: bool,
        subscription: &str,
        parked: &Parked,
    ) -> Result<u64, QueryError> {
        let is_elsewhere = is_at_other_service(subscription);
        let count = match parked.key.parse().ok().filter(|_| is_view && !is_elsewhere) {
            Some(stream) => self.store.log().count_in(&stream, parked.since_position).await?,
            // Nothing queues behind a log row that belongs to no stream. What queues in the log of another service isn't
            // counted.
            None if is_view => 1,
            None => self.parked.queue_length(subscription, &parked.key).await?,
        };
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The first queued events; none of those that are in the log of another service.
    async fn waiting(
        &self,
        is_view: bool,
        subscription: &str,
        parked: &Parked,
    ) -> Result<Vec<RecordedEvent>, QueryError> {
        if is_at_other_service(subscription) {
            return Ok(vec![]);
        }
        let log = self.store.log();
        if is_view {
            let Ok(stream) = parked.key.parse() else {
                return Ok(log.at(parked.since_position).await?.into_iter().collect());
            };
            let after = parked.since_position - 1;
            let filter = EventFilter { stream: Some(stream), after, ..EventFilter::default() };
            return Ok(log.query(filter).await?.next(SHOWN).await?.unwrap_or_default());
        }
        let mut events = vec![];
        for position in self.parked.queued(subscription, &parked.key, SHOWN).await? {
            events.extend(log.at(position).await?);
        }
        Ok(events)
    }
}
