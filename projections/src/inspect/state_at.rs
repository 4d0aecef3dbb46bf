//! An aggregate as of a position: its own `evolve` over its own stream. No view is involved, so the state is
//! the one that the write side would decide on.

use crate::engine::feed::{Unreadable, decode_as};
use crate::inspect::event_view::EventView;
use crate::queries::Queries;
use crate::queries::QueryError;
use gdmarket_domain::{Alarm, Decider, Item, Payment, Reservation};
use gdmarket_store::{EventFilter, RecordedEvent, StreamId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::VecDeque;

/// Events per query.
const PAGE: u32 = 500;

/// The aggregates that people look up by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateKind {
    /// An item.
    Item,
    /// A reservation.
    Reservation,
    /// A payment attempt.
    Payment,
    /// An item's alarm.
    Alarm,
}

/// An aggregate as of a position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateAt {
    /// Its stream: `item/1`.
    pub stream: String,
    /// The sequence of the last event that is applied.
    pub version: i64,
    /// Its state.
    pub state: Value,
    /// The number of applied events before [`StateAt::events`].
    pub earlier_events: u64,
    /// The last events that were applied.
    pub events: Vec<EventView>,
}

impl AggregateKind {
    /// Its stream.
    pub fn stream(self, number: i64) -> StreamId {
        StreamId::new(self.name(), number)
    }

    /// The name of its streams.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Item => type_of::<Item>(),
            Self::Reservation => type_of::<Reservation>(),
            Self::Payment => type_of::<Payment>(),
            Self::Alarm => type_of::<Alarm>(),
        }
    }
}

const fn type_of<A: Decider>() -> &'static str {
    A::TYPE
}

impl Queries {
    /// An aggregate as of the position `until`, or as it is now, with the last `most_events` that were applied;
    /// `None` if it had no event yet.
    pub async fn state_at(
        &self,
        kind: AggregateKind,
        number: i64,
        until: Option<i64>,
        most_events: usize,
    ) -> Result<Option<StateAt>, QueryError> {
        let request = StateRequest { stream: kind.stream(number), until, most_events };
        match kind {
            AggregateKind::Item => self.folded::<Item>(request).await,
            AggregateKind::Reservation => self.folded::<Reservation>(request).await,
            AggregateKind::Payment => self.folded::<Payment>(request).await,
            AggregateKind::Alarm => self.folded::<Alarm>(request).await,
        }
    }

    async fn folded<A>(&self, request: StateRequest) -> Result<Option<StateAt>, QueryError>
    where
        A: Decider + Serialize,
        A::Event: DeserializeOwned,
    {
        let StateRequest { stream, until, most_events } = request;
        let name = stream.to_string();
        let filter = EventFilter { stream: Some(stream), until, ..EventFilter::default() };
        let mut query = self.store().log().query(filter).await?;
        let (mut state, mut version, mut earlier_events) = (A::default(), 0, 0);
        let mut last = VecDeque::new();
        while let Some(events) = query.next(PAGE).await? {
            for event in &events {
                state.apply(read::<A>(event)?);
                version = event.sequence;
                last.push_back(EventView::from(event));
                if last.len() > most_events {
                    last.pop_front();
                    earlier_events += 1;
                }
            }
        }
        if version == 0 {
            return Ok(None);
        }
        let state = serde_json::to_value(&state)
            .map_err(|error| QueryError::Broken(format!("{name}: {error}")))?;
        let (state, events) = (camel_case(state), last.into());
        Ok(Some(StateAt { stream: name, version, state, earlier_events, events }))
    }
}

struct StateRequest {
    stream: StreamId,
    until: Option<i64>,
    most_events: usize,
}

fn read<A>(event: &RecordedEvent) -> Result<A::Event, QueryError>
where
    A: Decider,
    A::Event: DeserializeOwned,
{
    decode_as::<A>(event.as_event_ref()).map_err(|error| match error {
        Unreadable::Newer(what) => QueryError::Newer(format!("{event}: {what}")),
        Unreadable::Broken(what) => QueryError::Broken(format!("{event}: {what}")),
    })
}

/// Spells the names of a state's fields as everywhere else on the wire.
fn camel_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (camel(&name), camel_case(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(camel_case).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |camel, part| {
        let mut letters = part.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        camel + &initial.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_spelled_as_on_the_wire_and_variants_stay() {
        let state = json!({"last_returned": 1, "listing": {"Registered": {"item_no": 1}}});
        let shown = json!({"lastReturned": 1, "listing": {"Registered": {"itemNo": 1}}});
        assert_eq!(camel_case(state), shown);
    }
}
