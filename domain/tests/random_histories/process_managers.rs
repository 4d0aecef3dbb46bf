//! The process managers: the command that follows an event, and the meaning of its refusal. Events wait in
//! queues, in order per process key. Each service has its own feed, so queues of two feeds may overtake
//! each other. Any event may be delivered again.

use crate::market::{CommandId, Handled, Market, Outcome};
use chrono::{DateTime, Utc};
use gdmarket_domain::{
    HoldCommand, HoldEvent, ItemCommand, ItemEvent, MarketCommand, MarketEvent, PaymentCommand,
    PaymentEvent, PaymentNo, ReservationCommand, ReservationEvent, ReservationNo,
};
use std::collections::{BTreeMap, BTreeSet};

/// The key of a queue: manager, feed, process key.
pub(crate) type QueueKey = (&'static str, &'static str, i64);

/// Events that wait for a manager, as indices into the log, and the number of those that are done.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: Vec<usize>,
    done: usize,
}

const HOLDING: &str = "holding";
const RESERVATION: &str = "reservation_process";
const PAYMENT: &str = "payment_process";

/// Puts an event into the queues of the managers that react to it.
pub(crate) fn enqueue(queues: &mut BTreeMap<QueueKey, Queue>, event: &MarketEvent, index: usize) {
    let keys = match event {
        MarketEvent::Item(event) => queues_of_item(event),
        MarketEvent::Hold(HoldEvent::Refused { reservation_no, .. }) => {
            vec![(RESERVATION, "item", reservation_no.get())]
        }
        MarketEvent::Reservation(event) => queues_of_reservation(event),
        MarketEvent::Payment(
            PaymentEvent::Approved { reservation_no, .. }
            | PaymentEvent::Declined { reservation_no, .. },
        ) => vec![(RESERVATION, "payment", reservation_no.get())],
        MarketEvent::Payment(_) | MarketEvent::Alarm(_) => vec![],
    };
    for key in keys {
        queues.entry(key).or_default().events.push(index);
    }
}

fn queues_of_item(event: &ItemEvent) -> Vec<QueueKey> {
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

fn queues_of_reservation(event: &ReservationEvent) -> Vec<QueueKey> {
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

/// Adds a deadline row for each end of the time to pay.
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
    /// Delivers the next event of some queue; sometimes the manager crashes before its checkpoint moves.
    pub(crate) fn deliver(&mut self, target: u8, how: u8) -> Outcome {
        let waiting: Vec<QueueKey> =
            self.queues.iter().filter(|(_, l)| l.done < l.events.len()).map(|(k, _)| *k).collect();
        let Some(key) = pick(&waiting, target) else { return Ok(()) };
        self.react_to_next(key, how)?;
        if !how.is_multiple_of(8) {
            self.advance_queue(key);
        }
        Ok(())
    }

    /// Goes back in some queue, as after a crash before the checkpoint or with two managers at once.
    pub(crate) fn redeliver(&mut self, target: u8, how: u8) {
        let keys: Vec<QueueKey> = self.queues.keys().copied().collect();
        if let Some(queue) = pick(&keys, target).and_then(|key| self.queues.get_mut(&key)) {
            queue.done = queue.done.saturating_sub(1 + usize::from(how % 3));
        }
    }

    /// Delivers all waiting events; returns whether there were any.
    pub(crate) fn deliver_all(&mut self) -> Outcome<bool> {
        let mut any = false;
        for key in self.queues.keys().copied().collect::<Vec<_>>() {
            while self.queues.get(&key).is_some_and(|queue| queue.done < queue.events.len()) {
                self.react_to_next(key, 1)?;
                self.advance_queue(key);
                any = true;
            }
        }
        Ok(any)
    }

    fn advance_queue(&mut self, key: QueueKey) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.done += 1;
        }
    }

    fn react_to_next(&mut self, key: QueueKey, how: u8) -> Outcome {
        let (manager, _, _) = key;
        let Some(cause) = self.queues.get(&key).and_then(|l| l.events.get(l.done)).copied() else {
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

    /// One reaction of three steps. After a crash between them the caller delivers the whole reaction again;
    /// both depend on `how`.
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

    /// Sends a manager's command; a refusal that isn't allowed here would park it.
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

/// Picks an element by a byte.
pub(crate) fn pick<T: Copy>(all: &[T], target: u8) -> Option<T> {
    all.get(usize::from(target).checked_rem(all.len())?).copied()
}
