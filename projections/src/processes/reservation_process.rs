//! `reservation_process`, on the reservation's side: it records the answers of item and payment, and watches
//! the time to pay.
//!
//! The time to pay is counted from the recording of the event that it reacts to, by the database's clock,
//! since deadlines fire by the same clock. Each event with a `payBy` sets the deadline; each event that
//! pauses or ends the time to pay clears it. An outdated deadline that fires is refused with `not-due`.

use super::refusals::Rule;
use super::step::{Due, Reaction, Reactions, Step};
use crate::engine::process_manager::{Manager, Moment, Remedy};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use gdmarket_domain::{
    Hold, HoldEvent, Item, ItemEvent, ManagerName, MarketCommand, MarketEvent, Payment,
    PaymentEvent, Reservation, ReservationCommand, ReservationEvent, ReservationNo,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The table of reactions.
#[derive(Debug)]
pub(crate) struct ReservationProcess {
    /// How long a reservation may stay unpaid.
    pub(crate) pay_within: Duration,
}

impl Manager for ReservationProcess {
    type Step = Step;

    fn name(&self) -> &'static str {
        ManagerName::ReservationProcess.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        &[Item::TYPE, Hold::TYPE, Payment::TYPE, Reservation::TYPE]
    }

    fn react(&self, event: &MarketEvent, moment: Moment) -> Option<Reactions> {
        let recorded_at = moment.recorded_at;
        let pay_by = recorded_at + self.pay_within;
        match event {
            MarketEvent::Item(event) => send(from_item(event, pay_by)),
            MarketEvent::Hold(HoldEvent::Refused { reservation_no, reason, .. }) => {
                let reject = ReservationCommand::Reject { reason: reason.clone() };
                send(Some((*reservation_no, Rule::Reject, reject)))
            }
            MarketEvent::Payment(event) => send(self.payment_outcome(event, recorded_at)),
            MarketEvent::Reservation(event) => {
                let (reservation_no, step) = deadline(event)?;
                Some(Reactions::of(key(reservation_no), step))
            }
            MarketEvent::Alarm(_) => None,
        }
    }

    fn due(&self, key: &str, data: &Value, _moment: Moment) -> Option<Due> {
        let number = key.strip_prefix("reservation/")?.parse().ok()?;
        let pay_by = serde_json::from_value::<DateTime<Utc>>(data.clone()).ok()?;
        let expire = MarketCommand::Reservation(number, ReservationCommand::Expire { pay_by });
        Some(Due { steps: vec![Step::Send(Rule::Expire, expire)], again: None })
    }

    fn compensate(&self, step: &Step, refusal: &str) -> Remedy<Step> {
        step.remedy(refusal)
    }
}

fn key(reservation_no: ReservationNo) -> String {
    format!("reservation/{reservation_no}")
}

type Recording = Option<(ReservationNo, Rule, ReservationCommand)>;

fn send(recording: Recording) -> Option<Reactions> {
    let (reservation_no, rule, command) = recording?;
    let command = MarketCommand::Reservation(reservation_no, command);
    Some(Reactions::of(key(reservation_no), Reaction::Do(Step::Send(rule, command))))
}

fn from_item(event: &ItemEvent, pay_by: DateTime<Utc>) -> Recording {
    use ItemEvent as E;
    use ReservationCommand as C;
    Some(match event {
        E::Held { reservation_no, owner_id, item_name, item_price, .. } => {
            let (owner_id, item_name, item_price) = (*owner_id, item_name.clone(), *item_price);
            let confirm = C::Confirm { owner_id, item_name, item_price, pay_by };
            (*reservation_no, Rule::Confirm, confirm)
        }
        E::LendingRevoked { reservation_no, .. } => {
            (*reservation_no, Rule::Fact, C::RecordLendingRevoked { pay_by })
        }
        E::LendingRevocationRefused { reservation_no, .. } => {
            (*reservation_no, Rule::Fact, C::RecordRevocationRefused)
        }
        E::Rented { reservation_no, .. } => (*reservation_no, Rule::Fact, C::StartRental),
        E::Returned { reservation_no, .. } => (*reservation_no, Rule::Fact, C::CompleteRental),
        E::Registered { .. }
        | E::Changed { .. }
        | E::Deleted { .. }
        | E::PeriodBlocked { .. }
        | E::PeriodUnblocked { .. }
        | E::Released { .. }
        | E::LendingAuthorized { .. }
        | E::RegistrationAbandoned { .. } => return None,
    })
}

impl ReservationProcess {
    fn payment_outcome(&self, event: &PaymentEvent, failed_at: DateTime<Utc>) -> Recording {
        use PaymentEvent as E;
        use ReservationCommand as C;
        Some(match event {
            E::Approved { payment_no, reservation_no } => {
                let approved = C::RecordPaymentApproved { payment_no: *payment_no };
                (*reservation_no, Rule::Fact, approved)
            }
            E::Declined { payment_no, reservation_no, reason } => {
                let (payment_no, reason) = (*payment_no, reason.clone());
                let pay_within = self.pay_within;
                let failed = C::RecordPaymentFailed { payment_no, reason, failed_at, pay_within };
                (*reservation_no, Rule::Fact, failed)
            }
            E::Started { .. }
            | E::OutcomeUnknown { .. }
            | E::CancellationStarted { .. }
            | E::RefundRefused { .. }
            | E::Cancelled { .. } => return None,
        })
    }
}

fn deadline(event: &ReservationEvent) -> Option<(ReservationNo, Reaction)> {
    use ReservationEvent as E;
    let set = |number: ReservationNo, pay_by: DateTime<Utc>| {
        let set = Reaction::SetDeadline { key: key(number), due_at: pay_by, data: json!(pay_by) };
        Some((number, set))
    };
    let clear =
        |number: ReservationNo| Some((number, Reaction::ClearDeadline { key: key(number) }));
    match *event {
        E::Reserved { reservation_no, pay_by, .. }
        | E::PaymentFailed { reservation_no, pay_by, .. }
        | E::PaymentCancelled { reservation_no, pay_by, .. } => set(reservation_no, pay_by),
        E::PaymentRequested { reservation_no, .. }
        | E::Cancelled { reservation_no, .. }
        | E::Expired { reservation_no, .. } => clear(reservation_no),
        E::Requested { .. }
        | E::Rejected { .. }
        | E::CancellationRequested { .. }
        | E::CancellationRefused { .. }
        | E::Paid { .. }
        | E::PaymentCancellationRequested { .. }
        | E::PaymentCancellationRefused { .. }
        | E::LatePaymentRecorded { .. }
        | E::RentalStarted { .. }
        | E::RentalCompleted { .. } => None,
    }
}
