//! `payment_process`, on the payment's side: it settles attempts without outcome, and starts refunds.
//!
//! Settling queries the gateway and never charges. An attempt that the gateway doesn't know is queried
//! again, daily, until the gateway has forgotten its key, since a charge may appear late.

use super::options::Options;
use super::step::{Due, Reaction, Reactions, Step};
use crate::engine::process_manager::{Manager, Moment, Remedy};
use cqrs_es::Aggregate;
use gdmarket_domain::payment::{NOT_FOUND, StartedPayment};
use gdmarket_domain::{
    ItemNo, ManagerName, MarketEvent, Money, Payment, PaymentEvent, PaymentNo, Reservation,
    ReservationEvent, ReservationNo,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The table of reactions.
#[derive(Debug)]
pub(crate) struct PaymentProcess {
    settle_after: Duration,
    settle_again: Duration,
    looks: u32,
}

/// The data of a settling deadline's row.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settling {
    payment_no: PaymentNo,
    looks: u32,
    /// Rows of older programs lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested: Option<RequestedContent>,
}

/// What the reservation asked to be paid; its log may be another service's.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestedContent {
    reservation_no: ReservationNo,
    item_no: ItemNo,
    amount: Money,
}

impl Settling {
    fn attempt(&self) -> Option<StartedPayment> {
        let payment_no = self.payment_no;
        let RequestedContent { reservation_no, item_no, amount } = self.requested?;
        Some(StartedPayment { payment_no, reservation_no, item_no, amount })
    }
}

impl PaymentProcess {
    pub(crate) const fn new(options: &Options) -> Self {
        Self {
            settle_after: options.settle_after,
            settle_again: options.settle_again,
            looks: options.settle_looks,
        }
    }

    fn requested(&self, event: &ReservationEvent, moment: Moment) -> Option<Reactions> {
        use ReservationEvent as E;
        match *event {
            E::PaymentRequested { reservation_no, item_no, payment_no, amount } => {
                let requested = Some(RequestedContent { reservation_no, item_no, amount });
                let row = Settling { payment_no, looks: 0, requested };
                let set = Reaction::SetDeadline {
                    key: key(payment_no),
                    due_at: moment.recorded_at + self.settle_after,
                    data: json!(row),
                };
                Some(Reactions::of(key(payment_no), set))
            }
            E::Cancelled { payment_no: Some(payment_no), .. }
            | E::PaymentCancelled { payment_no, .. }
            | E::LatePaymentRecorded { payment_no, .. } => {
                Some(Reactions::of(key(payment_no), Reaction::Do(Step::Refund(payment_no))))
            }
            E::Requested { .. }
            | E::Reserved { .. }
            | E::Rejected { .. }
            | E::CancellationRequested { .. }
            | E::CancellationRefused { .. }
            | E::Cancelled { payment_no: None, .. }
            | E::Paid { .. }
            | E::PaymentFailed { .. }
            | E::PaymentCancellationRequested { .. }
            | E::PaymentCancellationRefused { .. }
            | E::RentalStarted { .. }
            | E::RentalCompleted { .. }
            | E::Expired { .. } => None,
        }
    }
}

impl Manager for PaymentProcess {
    type Step = Step;

    fn name(&self) -> &'static str {
        ManagerName::PaymentProcess.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        &[Reservation::TYPE, Payment::TYPE]
    }

    fn react(&self, event: &MarketEvent, moment: Moment) -> Option<Reactions> {
        match event {
            MarketEvent::Reservation(event) => self.requested(event, moment),
            MarketEvent::Payment(event) => settled(event),
            MarketEvent::Item(_) | MarketEvent::Alarm(_) | MarketEvent::Hold(_) => None,
        }
    }

    fn due(&self, _key: &str, data: &Value, _moment: Moment) -> Option<Due> {
        let row = serde_json::from_value::<Settling>(data.clone()).ok()?;
        let looks = row.looks.saturating_add(1);
        let again =
            (looks < self.looks).then(|| (self.settle_again, json!(Settling { looks, ..row })));
        Some(Due { steps: vec![Step::Settle(row.payment_no, row.attempt())], again })
    }

    fn compensate(&self, step: &Step, refusal: &str) -> Remedy<Step> {
        step.remedy(refusal)
    }
}

/// A final outcome clears the settling deadline.
fn settled(event: &PaymentEvent) -> Option<Reactions> {
    use PaymentEvent as E;
    let payment_no = match event {
        E::Approved { payment_no, .. } => *payment_no,
        E::Declined { payment_no, reason, .. } if reason != NOT_FOUND => *payment_no,
        E::Started { .. }
        | E::Declined { .. }
        | E::OutcomeUnknown { .. }
        | E::CancellationStarted { .. }
        | E::RefundRefused { .. }
        | E::Cancelled { .. } => return None,
    };
    Some(Reactions::of(key(payment_no), Reaction::ClearDeadline { key: key(payment_no) }))
}

fn key(payment_no: PaymentNo) -> String {
    format!("payment/{payment_no}")
}
