//! The events of one aggregate.

use super::{Answer, Queries, QueryError};
use crate::engine::feed::{Unreadable, decode_as};
use gdmarket_domain::Decider;
use gdmarket_store::StreamId;

/// An event of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent<E> {
    /// Its number in the stream: the version that the aggregate has after it.
    pub sequence: i64,
    /// Its position in the log.
    pub position: i64,
    /// The event.
    pub event: E,
}

impl Queries {
    /// The events of an aggregate after `sequence` whose type is one of `event_types`, or all of them if
    /// that is `None`.
    pub async fn events_of<A: Decider>(
        &self,
        number: i64,
        sequence: i64,
        event_types: Option<&[&str]>,
    ) -> Answer<Vec<StreamEvent<A::Event>>> {
        let stream = StreamId::new(A::TYPE, number);
        let events = self.0.store.log().stream(&stream, sequence).await?;
        let is_requested = |name: &str| event_types.is_none_or(|types| types.contains(&name));
        let requested = events.iter().filter(|event| is_requested(&event.event_type));
        let read = requested.map(|recorded| {
            let event = decode_as::<A>(recorded.as_event_ref()).map_err(|error| match error {
                Unreadable::Newer(what) => QueryError::Newer(format!("{recorded}: {what}")),
                Unreadable::Broken(what) => QueryError::Broken(format!("{recorded}: {what}")),
            })?;
            Ok(StreamEvent { sequence: recorded.sequence, position: recorded.position, event })
        });
        read.collect()
    }
}
