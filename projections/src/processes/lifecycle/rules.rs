//! The rules: in every state, for every event, and once no step is left. Rules about the aggregates compare
//! them with the gateway's charges and refunds, and with the days.

use super::fixtures::{Id, day};
use super::fixtures::{owner, reservation_no};
use super::model::{Local, Model};
use gdmarket_domain::item::Booking;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{Item, ItemEvent, MarketEvent, ReservationEvent, Span};

/// The rule that a state breaks.
pub(super) fn always(model: &Model, local: &Local) -> Option<String> {
    let item = model.items.state(local.item);
    let bookings: Vec<&Booking> = item.holds().iter().chain(item.rental()).collect();
    for (at, one) in bookings.iter().enumerate() {
        if bookings[at + 1..].iter().any(|other| other.span.overlaps(&one.span)) {
            return Some("two reservations have the same days".to_owned());
        }
    }
    if item.listed().is_none() && !bookings.is_empty() {
        return Some("an item that is held or lent is deleted".to_owned());
    }
    money(local).or_else(|| shown(model, local))
}

/// The gateway charges an attempt at most once, and never refunds more than it has charged.
fn money(local: &Local) -> Option<String> {
    let attempts = local.request.attempts.iter();
    for (number, attempt) in attempts.clone().enumerate() {
        if attempt.charges > 1 {
            return Some(format!("attempt {number} is charged twice"));
        }
        if attempt.refunds > attempt.charges {
            return Some(format!("attempt {number} has more refunded than charged"));
        }
    }
    let charges: u8 = attempts.clone().map(|attempt| attempt.charges).sum();
    let refunds: u8 = attempts.map(|attempt| attempt.refunds).sum();
    if charges > local.request.opened {
        return Some("a reservation is charged more often than it was to be paid".to_owned());
    }
    (refunds > charges).then(|| "a reservation has more refunded than charged".to_owned())
}

/// The rules of the payments.
fn shown(model: &Model, local: &Local) -> Option<String> {
    for (number, attempt) in local.request.attempts.iter().enumerate() {
        let progress = model.progress(local, number);
        if progress == Some(AttemptProgress::Cancelled) && attempt.is_kept() {
            return Some(format!("attempt {number} is shown as cancelled without its money back"));
        }
        let goes_back = matches!(
            progress,
            Some(
                AttemptProgress::Cancelling
                    | AttemptProgress::RefundRefused
                    | AttemptProgress::Cancelled
            )
        );
        if usize::from(local.request.lent_by) == number + 1 && (goes_back || attempt.refunds > 0) {
            return Some("lent and refunded".to_owned());
        }
    }
    None
}

/// The rule that an event breaks, by the states before and after it.
pub(super) fn on_event(
    model: &mut Model,
    before: &Local,
    after: &mut Local,
    id: Id,
) -> Option<String> {
    let own = reservation_no(before.index);
    match model.events.get(id) {
        MarketEvent::Item(ItemEvent::Held { .. }) => held(model, before),
        MarketEvent::Item(ItemEvent::Rented { reservation_no, .. }) => {
            assert_eq!(*reservation_no, own);
            lent(model, before, after)
        }
        MarketEvent::Reservation(ReservationEvent::PaymentFailed { pay_by, .. }) => {
            let reservation = model.reservations.state(before.request.reservation);
            let times = reservation.pay_times()?;
            let latest = times.standing.max(times.first + model.tables.options().pay_within);
            (*pay_by > latest || *pay_by < times.standing)
                .then(|| format!("a failed payment holds the item longer: until {pay_by}"))
        }
        MarketEvent::Item(_)
        | MarketEvent::Reservation(_)
        | MarketEvent::Payment(_)
        | MarketEvent::Hold(_)
        | MarketEvent::Alarm(_) => None,
    }
}

fn held(model: &Model, before: &Local) -> Option<String> {
    let request = model.reservations.state(before.request.reservation).request()?;
    if request.renter_id == owner() {
        return Some("an owner rents their own item".to_owned());
    }
    let requested = Span::requested(request.period, request.asked_on);
    let starts_then = requested.from <= request.asked_on;
    let rental = model.items.state(before.item).rental();
    let is_out = rental.is_some_and(|rental| rental.span.from <= request.asked_on);
    (is_out && starts_then).then(|| "an item that is out is promised for that day".to_owned())
}

fn lent(model: &Model, before: &Local, after: &mut Local) -> Option<String> {
    let reservation = model.reservations.state(before.request.reservation);
    let (ReservationStage::Paid { payment_no }
    | ReservationStage::CancellationPending { payment_no, .. }) = reservation.stage()
    else {
        return Some(format!("lent while it is {:?}", reservation.stage()));
    };
    let attempt = usize::try_from(payment_no.get() - 1).unwrap() % 2;
    after.request.lent_by = u8::try_from(attempt + 1).unwrap();
    let paid = before.request.attempts[attempt];
    if !paid.is_kept() {
        return Some("lent without its money".to_owned());
    }
    let request = reservation.request()?;
    let today = day(before.today);
    let period = request.period?;
    if today < period.from() {
        return Some("lent before its first day".to_owned());
    }
    (today >= period.to()).then(|| "lent after its last day".to_owned())
}

/// The rule that a state breaks when no step is left for this reservation.
pub(super) fn at_rest(model: &Model, local: &Local) -> Option<String> {
    let reservation = model.reservations.state(local.request.reservation);
    let item = model.items.state(local.item);
    let own = reservation_no(local.index);
    let stage = reservation.stage();
    let hold = item.hold_of(own);
    let (fits_the_item, is_paid) = match stage {
        ReservationStage::New => return None,
        ReservationStage::Paid { .. } => (hold.is_some_and(|hold| hold.authorized), true),
        ReservationStage::Renting { request: None, .. } => (item.is_rented_by(own), true),
        ReservationStage::Completed { request: None, .. } => (is_free(item, local), true),
        ReservationStage::Rejected | ReservationStage::Cancelled | ReservationStage::Expired => {
            (is_free(item, local), false)
        }
        ReservationStage::Requested
        | ReservationStage::Unpaid { .. }
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { .. }
        | ReservationStage::Completed { .. } => return Some(format!("unfinished: {stage:?}")),
    };
    if !fits_the_item {
        return Some(format!("the item holds or lends otherwise than {stage:?}: {item:?}"));
    }
    for number in 0..usize::from(local.request.opened) {
        let progress = model.progress(local, number);
        if !matches!(
            progress,
            None | Some(
                AttemptProgress::Approved | AttemptProgress::Declined | AttemptProgress::Cancelled
            )
        ) {
            return Some(format!("attempt {number} is unfinished: {progress:?}"));
        }
    }
    let kept = local.request.attempts.iter().filter(|attempt| attempt.is_kept()).count();
    (kept != usize::from(is_paid)).then(|| format!("{stage:?} keeps the money of {kept} attempts"))
}

fn is_free(item: &Item, local: &Local) -> bool {
    let own = reservation_no(local.index);
    item.hold_of(own).is_none() && !item.is_rented_by(own)
}
