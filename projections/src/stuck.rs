//! What can't go on, for operators: to look at, to have tried again, to give up.
//!
//! Trying again is the running loop's work; here it is asked for. Giving up keeps the reason: a
//! process manager then goes on after the event it stopped at, a view's row stays as it was, stale,
//! until somebody asks again or the view is rebuilt.

use crate::error::QueryError;
use crate::told::ToldEvent;
use chrono::{DateTime, Utc};
use gdmarket_store::{Dropped, Generations, Parked, ParkedKeys, RecordedEvent, Store, StreamId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Queued events that are shown.
const SHOWN: u32 = 100;
/// How often it is looked whether a key was tried again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A key that can't go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckKey {
    /// Whose key.
    pub subscription: String,
    /// Whether a view can't go on, or a process manager.
    pub is_view: bool,
    /// What can't go on: a stream, or a process.
    pub key: String,
    /// `retrying` by itself, or `parked` until it is asked for.
    pub state: String,
    /// Why.
    pub reason: String,
    /// The event it stopped at first.
    pub since_position: i64,
    /// When that was recorded.
    pub since: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: i64,
    /// How many events wait, the one it stopped at included.
    pub queued: u64,
    /// Why an operator gave it up, if one did.
    pub dropped: Option<String>,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenUp {
    /// Whose key.
    pub subscription: String,
    /// What couldn't go on: a stream, or a process.
    pub key: String,
    /// The event it stopped at.
    pub position: i64,
    /// Why it had stopped.
    pub parked_for: String,
    /// Why it was given up.
    pub reason: String,
    /// When.
    pub given_up_at: DateTime<Utc>,
}

impl From<Dropped> for GivenUp {
    fn from(dropped: Dropped) -> Self {
        let Dropped { subscription, key, position, parked_for, reason, dropped_at } = dropped;
        let given_up_at = DateTime::from_timestamp_micros(dropped_at).unwrap_or_default();
        Self { subscription, key, position, parked_for, reason, given_up_at }
    }
}

/// A stuck key with what waits behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckDetail {
    /// The key.
    #[serde(flatten)]
    pub key: StuckKey,
    /// What waits, first come first; not all of a long queue.
    pub events: Vec<ToldEvent>,
}

/// What became of a key that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It goes on.
    GoesOn,
    /// It was tried and stopped again.
    StoppedAgain(StuckKey),
    /// No running loop has tried it yet.
    NotYet,
}

/// The stuck keys of one store.
#[derive(Debug, Clone)]
pub struct Stuck {
    store: Store,
    parked: ParkedKeys,
}

impl Stuck {
    /// Looks into this store.
    pub fn new(store: Store) -> Self {
        let parked = ParkedKeys::new(store.views().clone());
        Self { store, parked }
    }

    /// All of them.
    pub async fn list(&self) -> Result<Vec<StuckKey>, QueryError> {
        let views = Generations::new(self.store.views().clone()).all().await?;
        let dropped: BTreeMap<(String, String, i64), String> = self
            .parked
            .dropped()
            .await?
            .into_iter()
            .map(|of| ((of.subscription, of.key, of.position), of.reason))
            .collect();
        let mut all = vec![];
        for (subscription, parked) in self.parked.everything().await? {
            let is_view = views.iter().any(|view| view.view == subscription);
            let queued = self.waiting(is_view, &subscription, &parked).await?.0;
            let noted = (subscription.clone(), parked.key.clone(), parked.since_position);
            all.push(StuckKey {
                is_view,
                queued,
                dropped: dropped.get(&noted).cloned(),
                since: DateTime::from_timestamp_micros(parked.since_time).unwrap_or_default(),
                subscription,
                key: parked.key,
                state: parked.state,
                reason: parked.reason,
                since_position: parked.since_position,
                attempts: parked.attempts,
            });
        }
        Ok(all)
    }

    /// Everything that was ever given up, the latest last.
    pub async fn given_up(&self) -> Result<Vec<GivenUp>, QueryError> {
        let dropped = self.parked.dropped().await?.into_iter();
        Ok(dropped.map(GivenUp::from).collect())
    }

    /// One of them; `None` if the key goes on.
    pub async fn find(
        &self,
        subscription: &str,
        key: &str,
    ) -> Result<Option<StuckKey>, QueryError> {
        let all = self.list().await?;
        Ok(all.into_iter().find(|stuck| stuck.subscription == subscription && stuck.key == key))
    }

    /// One of them, with what waits.
    pub async fn show(
        &self,
        subscription: &str,
        key: &str,
    ) -> Result<Option<StuckDetail>, QueryError> {
        let Some(found) = self.find(subscription, key).await? else { return Ok(None) };
        let parked = self.parked.all(subscription).await?;
        let Some(parked) = parked.into_iter().find(|parked| parked.key == key) else {
            return Ok(None);
        };
        let (_, events) = self.waiting(found.is_view, subscription, &parked).await?;
        let events = events.iter().map(ToldEvent::from).collect();
        Ok(Some(StuckDetail { key: found, events }))
    }

    /// Has a key tried again, given up or not, and waits until a running loop has.
    pub async fn retry(
        &self,
        subscription: &str,
        key: &str,
        within: Duration,
    ) -> Result<Asked, QueryError> {
        let Some(before) = self.find(subscription, key).await? else { return Ok(Asked::GoesOn) };
        self.parked.ask(subscription, Some(key)).await?;
        let until = Instant::now() + within;
        loop {
            match self.find(subscription, key).await? {
                None => return Ok(Asked::GoesOn),
                Some(now) if now.attempts != before.attempts => {
                    return Ok(Asked::StoppedAgain(now));
                }
                Some(_) if Instant::now() >= until => return Ok(Asked::NotYet),
                Some(_) => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Gives up what a key stopped at, and keeps why; `false` if it has gone on meanwhile.
    pub async fn give_up(&self, stuck: &StuckKey, reason: &str) -> Result<bool, QueryError> {
        let (subscription, key) = (&stuck.subscription, &stuck.key);
        // A process manager goes on at the next one that waits.
        let queue = self.parked.queued(subscription, key, 2).await?;
        let parked = Parked {
            key: key.clone(),
            state: stuck.state.clone(),
            reason: stuck.reason.clone(),
            since_position: stuck.since_position,
            since_time: stuck.since.timestamp_micros(),
            attempts: stuck.attempts,
        };
        let mut tx = self.store.views().begin().await?;
        ParkedKeys::note_dropped(&mut tx, subscription, &parked, reason).await?;
        if !stuck.is_view {
            let given_up = stuck.since_position;
            if !ParkedKeys::dequeue(&mut tx, subscription, key, given_up).await? {
                tx.rollback().await?;
                return Ok(false);
            }
            let next = queue.into_iter().find(|waiting| *waiting > given_up).unwrap_or(given_up);
            let state = Parked::RETRYING.to_owned();
            let rest = Parked { state, since_position: next, ..parked };
            ParkedKeys::park(&mut tx, subscription, &rest, Duration::ZERO).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// How many events wait, and the first of them. A view's stay in their stream, a process
    /// manager's are listed.
    async fn waiting(
        &self,
        is_view: bool,
        subscription: &str,
        parked: &Parked,
    ) -> Result<(u64, Vec<RecordedEvent>), QueryError> {
        let log = self.store.log();
        if is_view {
            let stream = parked.key.split_once('/');
            let stream = stream.and_then(|(kind, number)| {
                Some(StreamId::new(kind.to_owned(), number.parse().ok()?))
            });
            let Some(stream) = stream else { return Ok((0, vec![])) };
            let mut events = log.stream(&stream, 0).await?;
            events.retain(|event| event.position >= parked.since_position);
            let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
            events.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
            return Ok((count, events));
        }
        let mut events = vec![];
        for position in self.parked.queued(subscription, &parked.key, SHOWN).await? {
            events.extend(log.at(position).await?);
        }
        let count = self.parked.queue_length(subscription, &parked.key).await?;
        Ok((u64::try_from(count).unwrap_or(0), events))
    }
}
