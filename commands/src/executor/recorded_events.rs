//! What the executor reads of the log: events as they are stored, and the states that they fold into.

use super::Executor;
use crate::error::CommandError;
use chrono::{DateTime, Utc};
use gdmarket_domain::{Decider, DecodeError, MarketEvent, StoredEvent};
use gdmarket_store::{Loaded, RecordedEvent, StoreError, StreamId};
use std::borrow::Cow;
use std::sync::Arc;

impl Executor {
    /// The position of the event with this sequence.
    pub(super) async fn position(
        &self,
        stream: &StreamId,
        sequence: i64,
    ) -> Result<i64, CommandError> {
        let events = self.recorded(stream, sequence).await?;
        events
            .first()
            .map(|event| event.position)
            .ok_or_else(|| CommandError::Broken(format!("a receipt without event {sequence}")))
    }

    async fn recorded(
        &self,
        stream: &StreamId,
        from_sequence: i64,
    ) -> Result<Vec<RecordedEvent>, CommandError> {
        let events = self.store.log().stream(stream, from_sequence - 1).await;
        events.map_err(|error| self.store_error(&error))
    }

    /// The events of a stream from this sequence on.
    pub(crate) async fn events_from<A: Decider>(
        &self,
        number: i64,
        from_sequence: i64,
    ) -> Result<Vec<MarketEvent>, CommandError> {
        let stream = StreamId { kind: Cow::Borrowed(A::TYPE), number };
        let events = self.recorded(&stream, from_sequence).await?;
        let events: Result<_, StoreError> = events.iter().map(decode).collect();
        events.map_err(|error| self.store_error(&error))
    }

    /// The event at this position.
    pub(crate) async fn event_at(
        &self,
        position: i64,
    ) -> Result<Option<MarketEvent>, CommandError> {
        let event =
            self.store.log().at(position).await.map_err(|error| self.store_error(&error))?;
        event.as_ref().map(decode).transpose().map_err(|error| self.store_error(&error))
    }

    /// When the event at this position was recorded, by the database's clock.
    pub(crate) async fn recorded_at(&self, position: i64) -> Result<DateTime<Utc>, CommandError> {
        let event =
            self.store.log().at(position).await.map_err(|error| self.store_error(&error))?;
        event
            .and_then(|event| DateTime::from_timestamp_micros(event.recorded_at))
            .ok_or_else(|| CommandError::Broken(format!("no event at position {position}")))
    }

    /// The state as the log has it now.
    pub(crate) async fn fresh<A: Decider + 'static>(
        &self,
        number: i64,
    ) -> Result<Arc<A>, CommandError> {
        let mut loaded = self.lock::<A>(number).await?;
        if !loaded.is_current() {
            loaded.refresh().await.map_err(|error| self.store_error(&error))?;
        }
        Ok(Arc::clone(loaded.state()))
    }

    /// Locks the stream within this process; the lock holds its state.
    pub(super) async fn lock<A: Decider + 'static>(
        &self,
        number: i64,
    ) -> Result<Loaded<A>, CommandError> {
        let loaded = self.store.aggregates_with(read_event::<A>).lock(number).await;
        loaded.map_err(|error| self.store_error(&error))
    }

    /// As [`Executor::lock`]; a stream that isn't in memory is assumed new.
    pub(super) async fn lock_assuming_new<A: Decider + 'static>(&self, number: i64) -> Loaded<A> {
        self.store.aggregates_with(read_event::<A>).lock_assuming_new(number).await
    }
}

/// An event of a stream of `A`, in the newest version that this program knows.
fn read_event<A: Decider>(event: &RecordedEvent) -> Result<A::Event, StoreError> {
    refuse_damaged(event)?;
    stored(event).decode_as::<A>().map_err(|error| unreadable(event, &error))
}

fn decode(event: &RecordedEvent) -> Result<MarketEvent, StoreError> {
    refuse_damaged(event)?;
    stored(event).decode().map_err(|error| unreadable(event, &error))
}

fn stored(event: &RecordedEvent) -> StoredEvent<'_> {
    StoredEvent {
        aggregate_type: &event.stream.kind,
        number: event.stream.number,
        event_type: &event.event_type,
        version: &event.event_version,
        payload: &event.payload,
    }
}

fn refuse_damaged(event: &RecordedEvent) -> Result<(), StoreError> {
    let damaged = |reason| Err(StoreError::Corrupt(format!("{event}: {reason}")));
    event.damage_reason().map_or(Ok(()), damaged)
}

fn unreadable(event: &RecordedEvent, error: &DecodeError) -> StoreError {
    match error {
        DecodeError::Newer { .. } => StoreError::Newer,
        error => StoreError::Corrupt(format!("{}/{}: {error}", event.stream, event.sequence)),
    }
}
