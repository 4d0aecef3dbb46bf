//! What the message of a stream must be before its event is given on.

use super::event_message::{MessageStamp, parse};
use async_nats::HeaderMap;
use gdmarket_domain::{AggregateType, MarketPart, Service, Services};
use gdmarket_projections::{Delivery, Identity};

/// The event that a message of a stream must have.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedEvent {
    /// The log that is read.
    pub(super) source: Identity,
    /// The services whose events can't be in it.
    pub(super) foreign: Services,
}

impl ExpectedEvent {
    /// The event of a message, unless it is another one than those of the log.
    pub(super) fn read(&self, headers: &HeaderMap, payload: &[u8]) -> Result<Delivery, String> {
        let place = MessageStamp::of(headers).ok_or("it has not the headers of a relay")?;
        let (given, expected) = (place.log, self.source);
        if given != expected {
            return Err(format!(
                "it is of log {} epoch {}, and this process reads log {} epoch {}",
                given.log_id, given.epoch, expected.log_id, expected.epoch
            ));
        }
        let delivery = parse(place, payload)?;
        let event = &delivery.event;
        let owner = AggregateType::named(&event.stream.kind)
            .map(|aggregate| Service::of(MarketPart::Aggregate(aggregate)));
        match owner.filter(|owner| self.foreign.contains(*owner)) {
            Some(owner) => Err(format!("{} belongs to {owner}", event.key())),
            None => Ok(delivery),
        }
    }
}
