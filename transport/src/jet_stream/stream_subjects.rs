//! The names of streams and subjects.
//!
//! A log has one stream, named after the first service of its process; its subjects are those of all services of the
//! process. So `previous` is the event before in the log as well as in the stream, and a consumer finds the stream by
//! the subject of the service that it reads, without knowing what else runs there. No two streams may have one subject,
//! so that the server refuses a second process with the same service.

use gdmarket_domain::{AggregateType, MarketPart, Service, Services};
use gdmarket_projections::RecordedEvent;

/// The stream of a log that holds these services.
pub(super) fn stream_name(services: Services) -> String {
    let first = services.iter().next().map(Service::name).unwrap_or_default();
    format!("GDMARKET_{}", first.to_uppercase())
}

/// All subjects of a service.
pub(super) fn subjects_of(service: Service) -> String {
    format!("gdmarket.{service}.>")
}

/// The subject of an event, `gdmarket.item.hold.7`: the service that owns it, the aggregate, its number. An aggregate
/// that this program doesn't know is the first service's.
pub(super) fn subject(event: &RecordedEvent, services: Services) -> String {
    let kind = &event.stream.kind;
    let owner = AggregateType::named(kind)
        .map(|aggregate| Service::of(MarketPart::Aggregate(aggregate)))
        .filter(|owner| services.contains(*owner))
        .or_else(|| services.iter().next());
    let owner = owner.map(Service::name).unwrap_or_default();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let kind = if !kind.is_empty() && kind.bytes().all(is_token) { kind } else { "unknown" };
    format!("gdmarket.{owner}.{kind}.{}", event.stream.number)
}
