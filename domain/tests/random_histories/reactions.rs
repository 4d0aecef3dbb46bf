//! The process managers: which event leads to which command, and what a refusal then means, as the
//! page's table says. Events wait in lines, in order per process key; each service's events come by a
//! feed of their own, so lines of two feeds overtake each other. Any of them may be delivered again.

use crate::market::{CommandId, Handled, Market, Outcome};
use chrono::{DateTime, Utc};
use gdmarket_domain::{
    HoldCommand, HoldEvent, ItemCommand, ItemEvent, MarketCommand, MarketEvent, PaymentCommand,
    PaymentEvent, PaymentNo, ReservationCommand, ReservationEvent, ReservationNo,
};
use std::collections::{BTreeMap, BTreeSet};

/// Manager, feed, process key.
pub(crate) type LineKey = (&'static str, &'static str, i64);

/// Events that wait for a manager, as indices into the log, and how many are done.
#[derive(Debug, Default)]
pub(crate) struct Line {
    causes: Vec<usize>,
    done: usize,
}

const HOLDING: &str = "holding";
const RESERVATION: &str = "reservation_process";
const PAYMENT: &str = "payment_process";

/// Puts an event into the lines of the managers that react to it.
pub(crate) fn line_up(lines: &mut BTreeMap<LineKey, Line>, event: &MarketEvent, index: usize) {
    let keys = match event {
        MarketEvent::Item(event) => item_lines(event),
        MarketEvent::Hold(HoldEvent::Refused { reservation_no, .. }) => {
            vec![(RESERVATION, "item", reservation_no.get())]
        }
        MarketEvent::Reservation(event) => reservation_lines(event),
        MarketEvent::Payment(
            PaymentEvent::Approved { reservation_no, .. }
            | PaymentEvent::Declined { reservation_no, .. },
        ) => vec![(RESERVATION, "payment", reservation_no.get())],
        MarketEvent::Payment(_) | MarketEvent::Alarm(_) => vec![],
    };
    for key in keys {
        lines.entry(key).or_default().causes.push(index);
    }
}

fn item_lines(event: &ItemEvent) -> Vec<LineKey> {
    match event {
        ItemEvent::Held { reservation_no, .. }
        | ItemEvent::LendingRevoked { reservation_no, .. }
        | ItemEvent::LendingRevocationRefused { reservation_no, .. }
        | ItemEvent::Rented { reservation_no, .. }
        | ItemEvent::Returned { reservation_no, .. } => {
            vec![(RESERVATION, "item", reservation_no.get())]
        }
        _ => vec![],
    }
}

fn reservation_lines(event: &ReservationEvent) -> Vec<LineKey> {
    let hold = |no: &ReservationNo| (HOLDING, "reservation", no.get());
    let pay = |no: &PaymentNo| (PAYMENT, "reservation", no.get());
    match event {
        ReservationEvent::Requested { reservation_no, .. }
        | ReservationEvent::Paid { reservation_no, .. }
        | ReservationEvent::CancellationRequested { reservation_no, .. }
        | ReservationEvent::PaymentCancellationRequested { reservation_no, .. }
        | ReservationEvent::Expired { reservation_no, .. } => vec![hold(reservation_no)],
        ReservationEvent::Cancelled { reservation_no, payment_no, .. } => {
            std::iter::once(hold(reservation_no)).chain(payment_no.iter().map(pay)).collect()
        }
        ReservationEvent::PaymentRequested { payment_no, .. }
        | ReservationEvent::PaymentCancelled { payment_no, .. }
        | ReservationEvent::LatePaymentRecorded { payment_no, .. } => vec![pay(payment_no)],
        _ => vec![],
    }
}

/// A deadline row for each end of the time to pay.
pub(crate) fn mark_deadline(
    deadlines: &mut BTreeSet<(ReservationNo, DateTime<Utc>)>,
    event: &MarketEvent,
) {
    if let MarketEvent::Reservation(
        ReservationEvent::Reserved { reservation_no, pay_by, .. }
        | ReservationEvent::PaymentFailed { reservation_no, pay_by, .. }
        | ReservationEvent::PaymentCancelled { reservation_no, pay_by, .. },
    ) = event
    {
        deadlines.insert((*reservation_no, *pay_by));
    }
}

impl Market {
    /// Delivers the next event of some line; now and then it crashes before that is remembered.
    pub(crate) fn deliver(&mut self, whom: u8, how: u8) -> Outcome {
        let waiting: Vec<LineKey> =
            self.lines.iter().filter(|(_, l)| l.done < l.causes.len()).map(|(k, _)| *k).collect();
        let Some(key) = pick(&waiting, whom) else { return Ok(()) };
        self.react_to_next(key, how)?;
        if !how.is_multiple_of(8) {
            self.step_on(key);
        }
        Ok(())
    }

    /// Goes back in some line: a crash before the checkpoint, or a manager overtaken by its twin.
    pub(crate) fn redeliver(&mut self, whom: u8, how: u8) {
        let keys: Vec<LineKey> = self.lines.keys().copied().collect();
        if let Some(line) = pick(&keys, whom).and_then(|key| self.lines.get_mut(&key)) {
            line.done = line.done.saturating_sub(1 + usize::from(how % 3));
        }
    }

    /// Delivers all that waits; whether anything did.
    pub(crate) fn deliver_all(&mut self) -> Outcome<bool> {
        let mut any = false;
        for key in self.lines.keys().copied().collect::<Vec<_>>() {
            while self.lines.get(&key).is_some_and(|line| line.done < line.causes.len()) {
                self.react_to_next(key, 1)?;
                self.step_on(key);
                any = true;
            }
        }
        Ok(any)
    }

    fn step_on(&mut self, key: LineKey) {
        if let Some(line) = self.lines.get_mut(&key) {
            line.done += 1;
        }
    }

    fn react_to_next(&mut self, key: LineKey, how: u8) -> Outcome {
        let (manager, _, _) = key;
        let Some(cause) = self.lines.get(&key).and_then(|l| l.causes.get(l.done)).copied() else {
            return Ok(());
        };
        let id = (manager, cause, 0);
        match self.log.get(cause).cloned() {
            Some(MarketEvent::Reservation(event)) if manager == HOLDING => self.holding(id, &event),
            Some(MarketEvent::Reservation(event)) => self.payment_process(id, &event, how),
            Some(MarketEvent::Item(event)) => self.reservation_of_item(id, event),
            Some(MarketEvent::Payment(event)) => self.reservation_of_payment(id, event),
            Some(MarketEvent::Hold(HoldEvent::Refused { reservation_no, reason, .. })) => {
                let reject = ReservationCommand::Reject { reason };
                self.expect(
                    id,
                    &MarketCommand::Reservation(reservation_no, reject),
                    &["reservation-closed"],
                )
            }
            Some(MarketEvent::Alarm(_)) | None => Ok(()),
        }
    }

    fn holding(&mut self, id: CommandId, event: &ReservationEvent) -> Outcome {
        match *event {
            ReservationEvent::Requested {
                reservation_no,
                item_no,
                renter_id,
                period,
                asked_on,
            } => {
                let hold = ItemCommand::Hold { reservation_no, renter_id, period, asked_on };
                let refused = match self.send(Some(id), &MarketCommand::Item(item_no, hold))? {
                    Handled::Done | Handled::NoOp => return Ok(()),
                    Handled::Refused(code) => code,
                };
                if !["item-gone", "item-taken", "item-unknown", "item-blocked"].contains(&refused) {
                    return Err(format!("a hold parked with {refused}"));
                }
                let reason = refused.to_owned();
                let refuse = HoldCommand::Refuse { reservation_no, item_no, reason };
                self.expect(id, &MarketCommand::Hold(reservation_no, refuse), &[])
            }
            ReservationEvent::Paid { reservation_no, item_no, .. } => {
                let authorize = ItemCommand::AuthorizeLending { reservation_no };
                self.expect(id, &MarketCommand::Item(item_no, authorize), &[])
            }
            ReservationEvent::CancellationRequested { reservation_no, item_no }
            | ReservationEvent::PaymentCancellationRequested { reservation_no, item_no } => {
                let revoke = ItemCommand::RevokeLending { reservation_no };
                self.expect(id, &MarketCommand::Item(item_no, revoke), &[])
            }
            ReservationEvent::Cancelled { reservation_no, item_no, .. }
            | ReservationEvent::Expired { reservation_no, item_no } => {
                let release = ItemCommand::Release { reservation_no };
                self.expect(id, &MarketCommand::Item(item_no, release), &[])
            }
            _ => Ok(()),
        }
    }

    fn reservation_of_item(&mut self, id: CommandId, event: ItemEvent) -> Outcome {
        let (reservation_no, command, allowed): (_, _, &[&str]) = match event {
            ItemEvent::Held { reservation_no, owner_id, item_name, item_price, .. } => {
                let pay_by = self.next_pay_by();
                let confirm =
                    ReservationCommand::Confirm { owner_id, item_name, item_price, pay_by };
                (reservation_no, confirm, &["reservation-closed"])
            }
            ItemEvent::LendingRevoked { reservation_no, .. } => {
                let pay_by = self.next_pay_by();
                (reservation_no, ReservationCommand::RecordLendingRevoked { pay_by }, &[])
            }
            ItemEvent::LendingRevocationRefused { reservation_no, .. } => {
                (reservation_no, ReservationCommand::RecordRevocationRefused, &[])
            }
            ItemEvent::Rented { reservation_no, .. } => {
                (reservation_no, ReservationCommand::StartRental, &[])
            }
            ItemEvent::Returned { reservation_no, .. } => {
                (reservation_no, ReservationCommand::CompleteRental, &[])
            }
            _ => return Ok(()),
        };
        self.expect(id, &MarketCommand::Reservation(reservation_no, command), allowed)
    }

    fn reservation_of_payment(&mut self, id: CommandId, event: PaymentEvent) -> Outcome {
        let (reservation_no, command) = match event {
            PaymentEvent::Approved { payment_no, reservation_no } => {
                (reservation_no, ReservationCommand::RecordPaymentApproved { payment_no })
            }
            PaymentEvent::Declined { payment_no, reservation_no, reason } => {
                let failed = ReservationCommand::RecordPaymentFailed {
                    payment_no,
                    reason,
                    failed_at: self.next_pay_by(),
                    pay_within: std::time::Duration::from_hours(1),
                };
                (reservation_no, failed)
            }
            _ => return Ok(()),
        };
        self.expect(id, &MarketCommand::Reservation(reservation_no, command), &[])
    }

    fn payment_process(&mut self, id: CommandId, event: &ReservationEvent, how: u8) -> Outcome {
        match event {
            ReservationEvent::PaymentRequested { payment_no, .. } => {
                self.to_settle.insert(*payment_no);
                Ok(())
            }
            ReservationEvent::PaymentCancelled { payment_no, .. }
            | ReservationEvent::Cancelled { payment_no: Some(payment_no), .. }
            | ReservationEvent::LatePaymentRecorded { payment_no, .. } => {
                self.refund(id, *payment_no, how)
            }
            _ => Ok(()),
        }
    }

    /// One reaction of three steps. A crash between them repeats it as a whole; it only counts as
    /// delivered by the caller when `how` says so, and those that crash say otherwise.
    fn refund(
        &mut self,
        (manager, cause, _): CommandId,
        payment_no: PaymentNo,
        how: u8,
    ) -> Outcome {
        let cancel = MarketCommand::Payment(payment_no, PaymentCommand::Cancel);
        self.expect((manager, cause, 0), &cancel, &[])?;
        if how.is_multiple_of(16) {
            return Ok(());
        }
        self.gateway.refund(payment_no)?;
        if how % 16 == 8 {
            return Ok(());
        }
        let cancelled = MarketCommand::Payment(payment_no, PaymentCommand::RecordCancelled);
        self.expect((manager, cause, 1), &cancelled, &[])
    }

    /// Sends a manager's command: any refusal but these would park it for a person.
    pub(crate) fn expect(
        &mut self,
        id: CommandId,
        command: &MarketCommand,
        allowed: &[&str],
    ) -> Outcome {
        match self.send(Some(id), command)? {
            Handled::Refused(code) if !allowed.contains(&code) => {
                Err(format!("{command:?} of {id:?} parked with {code}"))
            }
            Handled::Done | Handled::NoOp | Handled::Refused(_) => Ok(()),
        }
    }
}

/// One of these, by a byte.
pub(crate) fn pick<T: Copy>(all: &[T], whom: u8) -> Option<T> {
    all.get(usize::from(whom).checked_rem(all.len())?).copied()
}
