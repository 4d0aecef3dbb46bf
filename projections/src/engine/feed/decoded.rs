//! Decoding a delivered event, and the ways in which that can fail.

use gdmarket_domain::{Decider, DecodeError, MarketEvent, StoredEvent};
use gdmarket_store::{EventRef, MAX_PAYLOAD, RecordedEvent};
use serde::Deserialize;
use uuid::Uuid;

/// Why an event can't be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// Only a newer program can read it.
    Newer(String),
    /// No program can read it: its stream parks.
    Broken(String),
}

/// Decodes an event.
pub(crate) fn decode(event: EventRef<'_>) -> Result<MarketEvent, Unreadable> {
    Ok(intact(event)?.decode()?)
}

/// As [`decode`], for a caller that knows the aggregate already.
pub(crate) fn decode_as<A: Decider>(event: EventRef<'_>) -> Result<A::Event, Unreadable> {
    Ok(intact(event)?.decode_as::<A>()?)
}

/// The row to read the event from, unless it is damaged or too long.
fn intact(event: EventRef<'_>) -> Result<StoredEvent<'_>, Unreadable> {
    let EventRef { kind, number, event_type, event_version, payload, .. } = event;
    if let Some(damage) = event.damage {
        return Err(Unreadable::Broken(damage.reason.clone()));
    }
    if payload.len() > MAX_PAYLOAD {
        // No program appends such an event. Decoding it would cost memory in every batch and row.
        let size = payload.len();
        return Err(Unreadable::Broken(format!(
            "{size} bytes, more than the {MAX_PAYLOAD} of an event"
        )));
    }
    Ok(StoredEvent { aggregate_type: kind, number, event_type, version: event_version, payload })
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Newer { .. } => Self::Newer(error.to_string()),
            DecodeError::UnknownAggregate(_)
            | DecodeError::UnknownType(_)
            | DecodeError::Malformed { .. }
            | DecodeError::OtherStream { .. } => Self::Broken(with_source(&error)),
        }
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// The origin of an event, from its metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Origin {
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) traceparent: Option<String>,
}

impl Origin {
    /// Metadata that can't be read gives an empty origin.
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        serde_json::from_str(&event.metadata).unwrap_or_default()
    }
}
