//! The kinds of numbers that are allocated, and what uses each: a program that imports a log must have
//! allocation continue after its numbers.

use cqrs_es::Aggregate;
use gdmarket_domain::{Alarm, Hold, Item, Payment, Reservation};
use gdmarket_store::{NamingEvent, NumberKind};

/// Numbers of items; an alarm has its item's.
pub(crate) const ITEM: NumberKind<'static> =
    NumberKind { kind: Item::TYPE, stream_types: &[Item::TYPE, Alarm::TYPE], named_by: None };
/// Numbers of reservations; a refused hold has its reservation's.
pub(crate) const RESERVATION: NumberKind<'static> = NumberKind {
    kind: Reservation::TYPE,
    stream_types: &[Reservation::TYPE, Hold::TYPE],
    named_by: None,
};
/// Numbers of payment attempts; the request to pay names one before the payment begins.
pub(crate) const PAYMENT: NumberKind<'static> = NumberKind {
    kind: Payment::TYPE,
    stream_types: &[Payment::TYPE],
    named_by: Some(NamingEvent { event_type: "PaymentRequested", field: "paymentNo" }),
};

/// Each kind of number that is allocated, with what uses it.
pub const NUMBERED: [NumberKind<'static>; 3] = [ITEM, RESERVATION, PAYMENT];
