//! The flags that filter events, the same for every command that shows events.

use crate::cli::tools::log_point::LogPoint;
use crate::output::Failure;
use clap::Args;
use gdmarket_commands::NUMBERED;
use gdmarket_domain::{Actor, event_names};
use gdmarket_projections::AggregateKind;
use gdmarket_store::{EventFilter, Store, StreamId};
use uuid::Uuid;

/// A filter for events.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct FilterArgs {
    /// Only the stream of this item.
    #[arg(long, value_name = "NO", group = "stream", value_parser = number())]
    item: Option<i64>,
    /// Only the stream of this reservation.
    #[arg(long, value_name = "NO", group = "stream", value_parser = number())]
    reservation: Option<i64>,
    /// Only the stream of this payment attempt.
    #[arg(long, value_name = "NO", group = "stream", value_parser = number())]
    payment: Option<i64>,
    /// Only the stream of this item's alarm.
    #[arg(long, value_name = "NO", group = "stream", value_parser = number())]
    alarm: Option<i64>,
    /// Only this stream, as events name it: item/1, hold/7.
    #[arg(long, value_name = "TYPE/NO", group = "stream", value_parser = stream)]
    aggregate: Option<StreamId>,
    /// Only events of this type: `ItemHeld`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events on behalf of this actor: owner:7, process:holding.
    #[arg(long, value_name = "ACTOR", value_parser = actor)]
    actor: Option<String>,
    /// Only events that followed from this request.
    #[arg(long, value_name = "UUID")]
    correlation: Option<Uuid>,
    /// Only events after this position, or recorded after this time.
    #[arg(long, value_name = "POSITION|TIME")]
    after: Option<LogPoint>,
    /// Only events up to this position, or recorded by this time.
    #[arg(long, value_name = "POSITION|TIME")]
    until: Option<LogPoint>,
}

fn number() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..)
}

/// Parses a stream, as events name it.
fn stream(text: &str) -> Result<StreamId, String> {
    let kinds = NUMBERED.iter().flat_map(|of| of.stream_types.iter().copied());
    let stream = text.parse::<StreamId>().ok().filter(|stream| stream.number > 0);
    let known = stream.filter(|stream| kinds.clone().any(|kind| *stream.kind == *kind));
    known.ok_or_else(|| {
        let forms: Vec<_> = kinds.map(|kind| format!("{kind}/NO")).collect();
        format!("a stream is one of {}", forms.join(", "))
    })
}

/// Parses an actor, as events name it: a person, an operator, or a process of the market.
fn actor(text: &str) -> Result<String, String> {
    let is_process = text.strip_prefix("process:").is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    if is_process || text.parse::<Actor>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err("an actor is operator:NAME, owner:ID, renter:ID or process:NAME".to_owned())
    }
}

impl FilterArgs {
    /// Whether the filter has an upper end.
    pub(super) const fn has_end(&self) -> bool {
        self.until.is_some()
    }

    /// The filter of the store, with times resolved to positions.
    pub(super) async fn resolve(&self, store: &Store) -> Result<EventFilter, Failure> {
        let after = match self.after {
            Some(at) => at.position(store).await?,
            None => 0,
        };
        let until = match self.until {
            Some(at) => Some(at.position(store).await?),
            None => None,
        };
        Ok(EventFilter {
            stream: self.stream(),
            event_type: self.event_type.clone(),
            actor: self.actor.clone(),
            correlation_id: self.correlation.map(|id| id.to_string()),
            after,
            until,
        })
    }

    /// The note if no event matches.
    pub(super) fn no_match_note(&self) -> String {
        match self.unknown_type() {
            Some(unknown) => format!("No event matches: {unknown}"),
            None => "No event matches.".to_owned(),
        }
    }

    /// A note on a type that this program doesn't know: most likely mistyped, or of a newer program.
    pub(super) fn unknown_type(&self) -> Option<String> {
        let unknown = self.event_type.as_ref()?;
        let is_known = event_names().contains(&unknown.as_str());
        let there_are = || event_names().join(", ");
        (!is_known)
            .then(|| format!("this program knows no type {unknown:?}; there are {}.", there_are()))
    }

    fn stream(&self) -> Option<StreamId> {
        let numbered = [
            (AggregateKind::Item, self.item),
            (AggregateKind::Reservation, self.reservation),
            (AggregateKind::Payment, self.payment),
            (AggregateKind::Alarm, self.alarm),
        ];
        let numbered = numbered.into_iter().find_map(|(kind, no)| Some(kind.stream(no?)));
        numbered.or_else(|| self.aggregate.clone())
    }
}
