//! One stream's turn: its state, and the one append that may come of it.

use super::{AggregateStore, Cached};
use crate::append::{Append, AppendError, Appended};
use crate::error::StoreError;
use crate::event::{NewEvent, RecordedEvent, StreamId};
use cqrs_es::Aggregate;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// An aggregate that is this caller's turn. Dropping it at any time is harmless: what it read is
/// forgotten, what it sent is written or not, and the next turn finds out.
pub struct Loaded<A: Aggregate> {
    store: AggregateStore<A>,
    number: i64,
    slot: OwnedMutexGuard<Option<Cached<A>>>,
    state: Arc<A>,
    version: i64,
    cached: bool,
}

impl<A: Aggregate> fmt::Debug for Loaded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("type", &A::TYPE)
            .field("number", &self.number)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<A: Aggregate + Clone + 'static> Loaded<A> {
    pub(super) async fn load(
        store: AggregateStore<A>,
        number: i64,
        slot: OwnedMutexGuard<Option<Cached<A>>>,
    ) -> Result<Self, StoreError> {
        let generation = store.0.appender.generation();
        let known = slot.as_ref().filter(|cached| cached.generation == generation);
        if let Some(cached) = known {
            store.0.hits.increment(1);
            let (state, version) = (Arc::clone(&cached.state), cached.version);
            return Ok(Self { store, number, slot, state, version, cached: true });
        }
        store.0.misses.increment(1);
        let mut state = Arc::new(A::default());
        let version = store.fold(number, &mut state, 0).await?;
        Ok(Self { store, number, slot, state, version, cached: false })
    }

    /// The state at [`Loaded::version`].
    pub const fn state(&self) -> &Arc<A> {
        &self.state
    }

    /// The sequence of the stream's last event that the state has seen, 0 for none.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Whether the state is from memory, so that another process may have gone on since. An append
    /// finds out by itself; an answer without an append asks for [`Loaded::refresh`] first.
    pub const fn cached(&self) -> bool {
        self.cached
    }

    /// Reads what the log has more.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        self.version = self.store.fold(self.number, &mut self.state, self.version).await?;
        self.cached = false;
        Ok(())
    }

    /// Appends, and ends the turn: the answer, and the state with the events applied.
    ///
    /// The events are read back from their payloads; who has them at hand saves that with
    /// [`Loaded::append_events`].
    pub async fn append(self, append: Append) -> Result<(Appended, Arc<A>), AppendError> {
        let stream = StreamId { kind: Cow::Borrowed(A::TYPE), number: self.number };
        let decode = |(event, sequence): (&NewEvent, i64)| {
            let recorded = RecordedEvent {
                position: 0,
                stream: stream.clone(),
                sequence,
                event_type: event.event_type.clone(),
                event_version: event.event_version.clone(),
                payload: event.payload.clone(),
                metadata: String::new(),
                recorded_at: 0,
            };
            (self.store.0.decode)(&recorded)
        };
        let events = append.events.iter().zip(append.first_sequence()..).map(decode);
        let events = events.collect::<Result<Vec<_>, _>>();
        let events = events.map_err(|error| AppendError::Rejected(error.to_string()))?;
        self.append_events(append, events).await
    }

    /// As [`Loaded::append`], with the very events whose JSON is in `append`.
    pub async fn append_events(
        mut self,
        append: Append,
        events: Vec<A::Event>,
    ) -> Result<(Appended, Arc<A>), AppendError> {
        if append.stream.kind != A::TYPE
            || append.stream.number != self.number
            || append.expected != self.version
        {
            let (stream, expected) = (&append.stream, append.expected);
            return Err(AppendError::Rejected(format!("{stream} isn't loaded at {expected}")));
        }
        // Nothing stays in memory while nobody knows: a caller that goes away here leaves an empty
        // slot, and only success fills it again.
        let before = self.slot.take();
        let generation = self.store.0.appender.generation();
        let appended = self.store.0.appender.append(append).await?;
        if events.is_empty() {
            *self.slot = before;
            return Ok((appended, self.state));
        }
        drop(before);
        let state = Arc::make_mut(&mut self.state);
        for event in events {
            state.apply(event);
        }
        let version = appended.first_sequence + appended.count - 1;
        *self.slot = Some(Cached { state: Arc::clone(&self.state), version, generation });
        Ok((appended, self.state))
    }
}
