//! Everything that can happen in the market, and the way back from a row of the log.
//!
//! Every reader of the log decodes with [`StoredEvent`]: old versions pass the upcaster, a version newer
//! than this program is another error than a broken row, and an event that names another stream than its
//! own is refused.

use crate::alarm::{Alarm, AlarmEvent};
use crate::decider::Decider;
use crate::event_names::{EventNames, event_names_of};
use crate::hold::{Hold, HoldEvent};
use crate::item::{Item, ItemEvent};
use crate::payment::{Payment, PaymentEvent};
use crate::reservation::{Reservation, ReservationEvent};
use crate::service::AggregateType;
use crate::upcast::{self, UpcastStep};
use cqrs_es::{Aggregate, DomainEvent};
use serde::de::Error as _;
use serde_json::Value;
use std::sync::LazyLock;

static EVENT_NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let of_each = [
        event_names_of::<ItemEvent>(),
        event_names_of::<ReservationEvent>(),
        event_names_of::<PaymentEvent>(),
        event_names_of::<AlarmEvent>(),
        event_names_of::<HoldEvent>(),
    ];
    of_each.concat()
});

/// The wire names of all events of the market.
pub fn event_names() -> &'static [&'static str] {
    &EVENT_NAMES
}

/// An event of any aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketEvent {
    /// Of an item.
    Item(ItemEvent),
    /// Of a reservation.
    Reservation(ReservationEvent),
    /// Of a payment attempt.
    Payment(PaymentEvent),
    /// Of an item's alarm.
    Alarm(AlarmEvent),
    /// Of a refused hold.
    Hold(HoldEvent),
}

/// Why a row of the log is no event of this program.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No aggregate of this name.
    #[error("no aggregate is called {0:?}")]
    UnknownAggregate(String),
    /// No event of this name.
    #[error("no event is called {0:?}")]
    UnknownType(String),
    /// Written by a newer program: not broken, only not for this one.
    #[error("{event_type} version {version} is newer than this program, which knows {known}")]
    Newer {
        /// The wire name.
        event_type: String,
        /// The version of the row.
        version: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The row can't be read.
    #[error("{event_type} can't be read")]
    Malformed {
        /// The wire name.
        event_type: String,
        /// What the reader stumbled over.
        #[source]
        source: serde_json::Error,
    },
    /// The payload is another stream's: applied, it would change what belongs to that one.
    #[error(
        "its payload names {aggregate_type}/{named}, but it is an event of {aggregate_type}/{number}"
    )]
    OtherStream {
        /// The aggregate type.
        aggregate_type: String,
        /// The number of the stream that the payload names.
        named: i64,
        /// The number of the stream that the row is of.
        number: i64,
    },
}

/// A row of the log, as far as its event is read from it.
#[derive(Debug, Clone, Copy)]
pub struct StoredEvent<'a> {
    /// The aggregate type of its stream.
    pub aggregate_type: &'a str,
    /// The number of its stream.
    pub number: i64,
    /// The wire name.
    pub event_type: &'a str,
    /// The version of the wire format.
    pub version: &'a str,
    /// JSON.
    pub payload: &'a str,
}

impl StoredEvent<'_> {
    /// The event of the row.
    pub fn decode(self) -> Result<MarketEvent, DecodeError> {
        self.decode_with(upcast::STEPS)
    }

    /// As [`StoredEvent::decode`], with these steps instead of the program's own.
    pub fn decode_with(self, steps: &[UpcastStep]) -> Result<MarketEvent, DecodeError> {
        let Self { aggregate_type, event_type, version, payload, .. } = self;
        let versioned = VersionedPayload { steps, event_type, version, payload };
        let event = versioned.decode_for(aggregate_type)?;
        self.require_own(event.number())?;
        Ok(event)
    }

    /// The event of the row, for a caller that knows the aggregate already.
    pub fn decode_as<A: Decider>(self) -> Result<A::Event, DecodeError> {
        let Self { event_type, version, payload, .. } = self;
        let event: A::Event =
            VersionedPayload { steps: upcast::STEPS, event_type, version, payload }.decode()?;
        self.require_own(A::number_of(&event))?;
        Ok(event)
    }

    fn require_own(self, named: i64) -> Result<(), DecodeError> {
        if named == self.number {
            return Ok(());
        }
        let (aggregate_type, number) = (self.aggregate_type.to_owned(), self.number);
        Err(DecodeError::OtherStream { aggregate_type, named, number })
    }
}

impl MarketEvent {
    /// The event of a payload, whichever stream it is of; a row of the log is read with
    /// [`StoredEvent::decode`].
    pub fn decode(
        aggregate_type: &str,
        event_type: &str,
        version: &str,
        payload: &str,
    ) -> Result<Self, DecodeError> {
        VersionedPayload { steps: upcast::STEPS, event_type, version, payload }
            .decode_for(aggregate_type)
    }

    /// Whether this program knows the aggregate type.
    pub fn knows(aggregate_type: &str) -> bool {
        AggregateType::named(aggregate_type).is_some()
    }

    /// The number of the stream that it belongs to, as its payload names it.
    pub const fn number(&self) -> i64 {
        match self {
            Self::Item(event) => event.item_no().get(),
            Self::Reservation(event) => event.reservation_no().get(),
            Self::Payment(event) => event.payment_no().get(),
            Self::Alarm(event) => event.item_no().get(),
            Self::Hold(event) => event.reservation_no().get(),
        }
    }
}

struct VersionedPayload<'a> {
    steps: &'a [UpcastStep],
    event_type: &'a str,
    version: &'a str,
    payload: &'a str,
}

impl VersionedPayload<'_> {
    fn decode_for(&self, aggregate_type: &str) -> Result<MarketEvent, DecodeError> {
        match aggregate_type {
            Item::TYPE => self.decode().map(MarketEvent::Item),
            Reservation::TYPE => self.decode().map(MarketEvent::Reservation),
            Payment::TYPE => self.decode().map(MarketEvent::Payment),
            Alarm::TYPE => self.decode().map(MarketEvent::Alarm),
            Hold::TYPE => self.decode().map(MarketEvent::Hold),
            other => Err(DecodeError::UnknownAggregate(other.to_owned())),
        }
    }

    fn decode<E: DomainEvent + EventNames>(&self) -> Result<E, DecodeError> {
        let known = upcast::current_version(self.steps, self.event_type);
        let version: u32 = self
            .version
            .parse()
            .map_err(|_| self.malformed(serde_json::Error::custom("no version")))?;
        if version > known {
            return Err(DecodeError::Newer {
                event_type: self.event_type.to_owned(),
                version,
                known,
            });
        }
        let read = if version == known {
            serde_json::from_str::<E>(self.payload)
        } else {
            serde_json::from_str::<Value>(self.payload).and_then(|old| {
                serde_json::from_value(upcast::upcast(self.steps, self.event_type, version, old))
            })
        };
        match read {
            Ok(event) if event.event_type() == self.event_type => Ok(event),
            Err(_) | Ok(_) if !E::NAMES.contains(&self.event_type) => {
                Err(DecodeError::UnknownType(self.event_type.to_owned()))
            }
            Ok(_) => {
                Err(self.malformed(serde_json::Error::custom("the payload names another event")))
            }
            Err(error) => Err(self.malformed(error)),
        }
    }

    fn malformed(&self, source: serde_json::Error) -> DecodeError {
        DecodeError::Malformed { event_type: self.event_type.to_owned(), source }
    }
}
