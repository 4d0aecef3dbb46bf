//! The name of a saga: the stream that it is about.

use cqrs_es::Aggregate as _;
use gdmarket_domain::{
    AggregateType, Alarm, Decider as _, Hold, Item, ItemEvent, ItemNo, MarketEvent, Payment,
    PaymentEvent, PaymentNo, Reservation, ReservationNo,
};
use gdmarket_store::StreamId;
use std::fmt;
use std::str::FromStr;

/// The name of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SagaKey {
    /// The rental of this reservation, with its payments.
    Reservation(ReservationNo),
    /// The registration or the deletion of this item.
    Item(ItemNo),
}

/// Why a text names no saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a reservation's number (7) nor a saga as listed (reservation/7, item/3)")]
pub struct SagaKeyError;

impl SagaKey {
    /// The saga that an event belongs to; `None` for what concerns no saga, such as a new price.
    pub(in crate::inspect) fn of(event: &MarketEvent) -> Option<Self> {
        match event {
            MarketEvent::Reservation(event) => reservation(Reservation::number_of(event)),
            MarketEvent::Hold(event) => reservation(Hold::number_of(event)),
            MarketEvent::Payment(event) => Some(Self::Reservation(paid_reservation(event))),
            MarketEvent::Alarm(event) => item(Alarm::number_of(event)),
            MarketEvent::Item(event) => of_item(event),
        }
    }

    /// The saga of this name.
    fn named(name: &str) -> Option<Self> {
        let (kind, number) = name.split_once('/')?;
        let number = number.parse().ok()?;
        match AggregateType::named(kind)? {
            AggregateType::Reservation => reservation(number),
            AggregateType::Item => item(number),
            AggregateType::Payment | AggregateType::Alarm | AggregateType::Hold => None,
        }
    }

    /// The saga that a stream belongs to; `None` for a payment, whose number isn't its reservation's.
    pub(super) fn of_stream(stream: &str) -> Option<Self> {
        let (kind, number) = stream.split_once('/')?;
        let number = number.parse().ok()?;
        match AggregateType::named(kind)? {
            AggregateType::Reservation | AggregateType::Hold => reservation(number),
            AggregateType::Item | AggregateType::Alarm => item(number),
            AggregateType::Payment => None,
        }
    }

    /// The streams whose numbers are the saga's.
    pub(super) fn streams(self) -> [StreamId; 2] {
        let (kinds, number) = match self {
            Self::Reservation(no) => ([Reservation::TYPE, Hold::TYPE], no.get()),
            Self::Item(no) => ([Alarm::TYPE, Item::TYPE], no.get()),
        };
        kinds.map(|kind| StreamId::new(kind, number))
    }
}

impl fmt::Display for SagaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reservation(no) => write!(f, "{}/{no}", Reservation::TYPE),
            Self::Item(no) => write!(f, "{}/{no}", Item::TYPE),
        }
    }
}

impl FromStr for SagaKey {
    type Err = SagaKeyError;

    fn from_str(text: &str) -> Result<Self, SagaKeyError> {
        let number = text.parse().ok().map(Self::Reservation);
        number.or_else(|| Self::named(text)).ok_or(SagaKeyError)
    }
}

/// The number of a payment attempt that a key names.
pub(super) fn payment_no(key: &str) -> Option<PaymentNo> {
    let (kind, number) = key.split_once('/')?;
    if kind == Payment::TYPE { number.parse().ok() } else { None }
}

fn reservation(number: i64) -> Option<SagaKey> {
    ReservationNo::new(number).ok().map(SagaKey::Reservation)
}

fn item(number: i64) -> Option<SagaKey> {
    ItemNo::new(number).ok().map(SagaKey::Item)
}

const fn paid_reservation(event: &PaymentEvent) -> ReservationNo {
    match event {
        PaymentEvent::Started { reservation_no, .. }
        | PaymentEvent::Approved { reservation_no, .. }
        | PaymentEvent::Declined { reservation_no, .. }
        | PaymentEvent::OutcomeUnknown { reservation_no, .. }
        | PaymentEvent::CancellationStarted { reservation_no, .. }
        | PaymentEvent::RefundRefused { reservation_no, .. }
        | PaymentEvent::Cancelled { reservation_no, .. } => *reservation_no,
    }
}

const fn of_item(event: &ItemEvent) -> Option<SagaKey> {
    use ItemEvent as E;
    Some(match event {
        E::Registered { item_no, .. }
        | E::Deleted { item_no }
        | E::RegistrationAbandoned { item_no } => SagaKey::Item(*item_no),
        E::Held { reservation_no, .. }
        | E::Released { reservation_no, .. }
        | E::LendingAuthorized { reservation_no, .. }
        | E::LendingRevoked { reservation_no, .. }
        | E::LendingRevocationRefused { reservation_no, .. }
        | E::Rented { reservation_no, .. }
        | E::Returned { reservation_no, .. } => SagaKey::Reservation(*reservation_no),
        E::Changed { .. } | E::PeriodBlocked { .. } | E::PeriodUnblocked { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saga_is_named_by_its_stream_or_by_the_number_of_its_reservation() {
        let seven = SagaKey::Reservation(7.try_into().unwrap());
        for text in ["7", "reservation/7"] {
            assert_eq!(text.parse(), Ok(seven), "{text}");
        }
        assert_eq!("item/3".parse(), Ok(SagaKey::Item(3.try_into().unwrap())));
        assert_eq!(seven.to_string(), "reservation/7");
        for wrong in ["", "0", "-1", "payment/3", "item/", "item/x", "reservation/0", "7/8"] {
            assert_eq!(wrong.parse::<SagaKey>(), Err(SagaKeyError), "{wrong}");
        }
    }
}
