//! A locked stream: its state, and the one append that may follow from it.

use super::{AggregateStore, Cached};
use crate::error::StoreError;
use crate::log::append::{Append, AppendError, Appended};
use crate::log::event::{NewEvent, RecordedEvent, StreamId};
use cqrs_es::Aggregate;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// An aggregate whose stream this caller has locked. Dropping it at any time is harmless: its state is forgotten,
/// an append that it sent is written or not, and the next caller reads which.
pub struct Loaded<A: Aggregate> {
    store: AggregateStore<A>,
    number: i64,
    slot: OwnedMutexGuard<Option<Cached<A>>>,
    state: Arc<A>,
    version: i64,
    source: StateSource,
}

/// Where the state comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StateSource {
    /// It was read from the log under this lock.
    Log,
    /// This process's last append left it.
    Memory,
    /// The stream is assumed new, without events.
    AssumedNew,
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
    pub(super) fn assumed_new(
        store: AggregateStore<A>,
        number: i64,
        slot: OwnedMutexGuard<Option<Cached<A>>>,
    ) -> Self {
        let generation = store.0.appender.generation();
        let known = slot.as_ref().filter(|cached| cached.generation == generation);
        let (state, version, source) = if let Some(cached) = known {
            store.0.hits.increment(1);
            (Arc::clone(&cached.state), cached.version, StateSource::Memory)
        } else {
            (Arc::default(), 0, StateSource::AssumedNew)
        };
        Self { store, number, slot, state, version, source }
    }

    /// The state at [`Loaded::version`].
    pub const fn state(&self) -> &Arc<A> {
        &self.state
    }

    /// The sequence of the stream's last event that the state has seen, 0 for none.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Whether the state was read from the log under this lock. Else another process may have appended since: an append
    /// is refused then; an answer without an append needs [`Loaded::refresh`] first.
    pub const fn is_current(&self) -> bool {
        matches!(self.source, StateSource::Log)
    }

    /// Whether the stream is assumed new: nothing was read, and it may have any number of events.
    pub const fn is_assumed_new(&self) -> bool {
        matches!(self.source, StateSource::AssumedNew)
    }

    /// Reads the events that the state lacks.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        if self.is_assumed_new() {
            self.store.0.misses.increment(1);
        }
        self.version = self.store.fold(self.number, &mut self.state, self.version).await?;
        self.source = StateSource::Log;
        Ok(())
    }

    /// Appends, and unlocks the stream: returns the answer, and the state with the events applied.
    ///
    /// The events are decoded from their payloads; [`Loaded::append_events`] takes them decoded.
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
                damage: None,
            };
            (self.store.0.decode)(&recorded)
        };
        let events = append.events.iter().zip(append.first_sequence()..).map(decode);
        let events = events.collect::<Result<Vec<_>, _>>();
        let events = events.map_err(|error| AppendError::Rejected(error.to_string()))?;
        self.append_events(append, events).await
    }

    /// As [`Loaded::append`], with the events whose JSON is in `append`.
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
        if self.is_assumed_new() {
            self.store.0.assumed_new.increment(1);
        }
        // While the outcome is unknown no state stays in memory: a caller that goes away here leaves an empty slot, and
        // only success fills it again.
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
