//! The kinds of numbers that are allocated, and what uses each: a program that imports a log must have
//! allocation continue after its numbers.

use cqrs_es::Aggregate;
use gdmarket_domain::{Alarm, Hold, Item, Payment, Reservation};
use gdmarket_store::{NamingEvent, NumberKind, Raised, Store, StoreError};

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

/// How many numbers of payments each epoch of a log has to itself.
const PAYMENTS_PER_EPOCH: i64 = 1_000_000_000;

/// Gives the payments of this epoch numbers that no payment of an earlier one had.
///
/// A payment's key at the gateway is made of its number: after a restore, or an import of an older archive, the log doesn't know the numbers of the part
/// that was lost, but a payment provider does, and would answer a new payment with an old charge.
pub async fn separate_payment_numbers(store: &Store) -> Result<Option<Raised>, StoreError> {
    let earlier_epochs = store.identity().epoch.saturating_sub(1);
    let last = earlier_epochs.saturating_mul(PAYMENTS_PER_EPOCH);
    store.numbers().raise_to(PAYMENT.kind, last).await
}
