//! The rules that hold in every history, checked by the events and the gateway's own books, not by the
//! states of the aggregates under test.

use crate::market::{Market, Outcome};
use chrono::NaiveDate;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{
    ItemEvent, ItemNo, MarketEvent, Money, PaymentEvent, PaymentNo, RentalPeriod, ReservationEvent,
    ReservationNo,
};
use std::collections::{BTreeMap, BTreeSet};

/// A simple fold of the events.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) attempts: BTreeMap<PaymentNo, Attempt>,
    booked: BTreeMap<ItemNo, BTreeMap<ReservationNo, Days>>,
    blocked: BTreeMap<ItemNo, BTreeSet<Days>>,
    authorized: BTreeSet<ReservationNo>,
    rented: BTreeMap<ItemNo, ReservationNo>,
    lent_once: BTreeSet<ReservationNo>,
    paid_by: BTreeMap<ReservationNo, PaymentNo>,
    refunding: BTreeSet<PaymentNo>,
}

/// A payment attempt as it was requested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) reservation_no: ReservationNo,
    pub(crate) item_no: ItemNo,
    pub(crate) amount: Money,
}

/// The first taken day and the first free day after it.
type Days = (NaiveDate, NaiveDate);

fn days(period: RentalPeriod) -> Days {
    (period.from(), period.to())
}

impl Watch {
    pub(crate) fn note(&mut self, event: &MarketEvent) -> Outcome {
        match event {
            MarketEvent::Item(event) => self.note_item(event),
            MarketEvent::Reservation(event) => {
                self.note_reservation(event);
                Ok(())
            }
            MarketEvent::Payment(PaymentEvent::CancellationStarted { payment_no, .. }) => {
                self.refunding.insert(*payment_no);
                Ok(())
            }
            MarketEvent::Payment(_) | MarketEvent::Alarm(_) | MarketEvent::Hold(_) => Ok(()),
        }
    }

    fn note_item(&mut self, event: &ItemEvent) -> Outcome {
        match event {
            ItemEvent::Held { item_no, reservation_no, period, from, .. } => {
                let taken = period.map_or((*from, NaiveDate::MAX), days);
                self.booked.entry(*item_no).or_default().insert(*reservation_no, taken);
            }
            ItemEvent::Released { item_no, reservation_no } => {
                self.booked.entry(*item_no).or_default().remove(reservation_no);
                self.authorized.remove(reservation_no);
            }
            ItemEvent::LendingAuthorized { reservation_no, .. } => {
                self.authorized.insert(*reservation_no);
            }
            ItemEvent::LendingRevoked { reservation_no, .. } => {
                self.authorized.remove(reservation_no);
            }
            ItemEvent::Rented { item_no, reservation_no } => {
                return self.note_rented(*item_no, *reservation_no);
            }
            ItemEvent::Returned { item_no, reservation_no } => {
                self.booked.entry(*item_no).or_default().remove(reservation_no);
                let had = self.rented.remove(item_no) == Some(*reservation_no);
                return had.then_some(()).ok_or_else(|| format!("{reservation_no} didn't have it"));
            }
            ItemEvent::PeriodBlocked { item_no, period } => {
                self.blocked.entry(*item_no).or_default().insert(days(*period));
            }
            ItemEvent::PeriodUnblocked { item_no, period } => {
                let blocked = self.blocked.entry(*item_no).or_default();
                let removed = blocked.remove(&days(*period));
                return removed.then_some(()).ok_or_else(|| format!("{period:?} wasn't blocked"));
            }
            _ => {}
        }
        Ok(())
    }

    fn note_rented(&mut self, item_no: ItemNo, reservation_no: ReservationNo) -> Outcome {
        let held = self.booked.get(&item_no).is_some_and(|b| b.contains_key(&reservation_no));
        if !held || !self.authorized.remove(&reservation_no) {
            return Err(format!("{item_no} is lent to {reservation_no} without right"));
        }
        if self.rented.insert(item_no, reservation_no).is_some() {
            return Err(format!("{item_no} is lent twice at once"));
        }
        self.lent_once.insert(reservation_no);
        Ok(())
    }

    fn note_reservation(&mut self, event: &ReservationEvent) {
        match *event {
            ReservationEvent::PaymentRequested { reservation_no, item_no, payment_no, amount } => {
                self.attempts.insert(payment_no, Attempt { reservation_no, item_no, amount });
            }
            ReservationEvent::Paid { reservation_no, payment_no, .. } => {
                self.paid_by.insert(reservation_no, payment_no);
            }
            _ => {}
        }
    }

    fn overlap(&self) -> Outcome {
        for (item_no, booked) in &self.booked {
            let blocks = self.blocked.get(item_no).into_iter().flatten();
            let mut all: Vec<Days> = booked.values().chain(blocks).copied().collect();
            all.sort_unstable();
            for (one, next) in all.iter().zip(all.iter().skip(1)) {
                if one.1 > next.0 {
                    return Err(format!("days of item {item_no} overlap: {one:?} and {next:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Checks the rules that hold after every step.
pub(crate) fn after_each_step(market: &Market) -> Outcome {
    let (watch, gateway) = (&market.watch, &market.gateway);
    watch.overlap()?;
    for (payment_no, times) in &gateway.charges {
        if *times != 1 {
            return Err(format!("attempt {payment_no} was charged {times} times"));
        }
    }
    for reservation_no in &watch.lent_once {
        let Some(payment_no) = watch.paid_by.get(reservation_no) else {
            return Err(format!("{reservation_no} was lent and never paid"));
        };
        if !gateway.has_charged(*payment_no) {
            return Err(format!("{reservation_no} was lent without a charge"));
        }
        if gateway.refunded.contains(payment_no) || watch.refunding.contains(payment_no) {
            return Err(format!("{reservation_no} was lent and refunded"));
        }
    }
    Ok(())
}

/// Checks the rules that hold when nothing is in flight any more.
pub(crate) fn when_idle(market: &Market) -> Outcome {
    for reservation_no in market.reservations.keys() {
        reservation_when_idle(market, *reservation_no)?;
    }
    for (payment_no, payment) in &market.payments {
        let Some(
            AttemptProgress::Approved | AttemptProgress::Declined | AttemptProgress::Cancelled,
        ) = payment.progress()
        else {
            return Err(format!("attempt {payment_no} is unfinished: {payment:?}"));
        };
    }
    Ok(())
}

fn reservation_when_idle(market: &Market, reservation_no: ReservationNo) -> Outcome {
    let Some((reservation, request)) = market
        .reservations
        .get(&reservation_no)
        .and_then(|reservation| Some((reservation, reservation.request()?)))
    else {
        return Err(format!("reservation {reservation_no} was never requested"));
    };
    let watch = &market.watch;
    let booked =
        watch.booked.get(&request.item_no).is_some_and(|b| b.contains_key(&reservation_no));
    let rented = watch.rented.get(&request.item_no) == Some(&reservation_no);
    let authorized = watch.authorized.contains(&reservation_no);
    let (agrees, paid) = match reservation.stage() {
        ReservationStage::Unpaid { .. } => (booked && !rented && !authorized, false),
        ReservationStage::Paid { .. } => (booked && !rented && authorized, true),
        ReservationStage::Renting { request: None, .. } => (booked && rented, true),
        ReservationStage::Completed { request: None, .. } => (!booked && !rented, true),
        ReservationStage::Rejected | ReservationStage::Cancelled | ReservationStage::Expired => {
            (!booked && !authorized, false)
        }
        ReservationStage::New
        | ReservationStage::Requested
        | ReservationStage::PaymentOpen { .. }
        | ReservationStage::CancellationPending { .. }
        | ReservationStage::Renting { request: Some(_), .. }
        | ReservationStage::Completed { request: Some(_), .. } => {
            return Err(format!("reservation {reservation_no} is unfinished: {reservation:?}"));
        }
    };
    if !agrees {
        return Err(format!(
            "the item's state disagrees with reservation {reservation_no}: {reservation:?}"
        ));
    }
    let price = reservation.terms().map_or(0, |terms| terms.total_price.won());
    let due = if paid { price } else { 0 };
    let kept = money_kept(market, reservation_no);
    if kept != due {
        return Err(format!("reservation {reservation_no} has {kept} won and should have {due}"));
    }
    Ok(())
}

/// Charges minus refunds over all attempts.
fn money_kept(market: &Market, reservation_no: ReservationNo) -> i64 {
    let gateway = &market.gateway;
    let of_this = market.watch.attempts.iter().filter(|(_, a)| a.reservation_no == reservation_no);
    of_this
        .filter(|(no, _)| gateway.has_charged(**no) && !gateway.refunded.contains(no))
        .map(|(_, attempt)| attempt.amount.won())
        .sum()
}
