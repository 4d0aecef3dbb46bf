//! `holding`, on the item's side: it sends the requests of a reservation to the item.
//!
//! The partition is the item, so that a release comes before the holds that were requested after it.
//! Neighbouring holds are concurrent: the item decides between them. A blocked reaction parks its
//! reservation only, not the item's others.

use super::refusals::Rule;
use super::step::{Due, Reaction, Reactions, Step};
use crate::engine::process_manager::{Manager, Moment, Remedy};
use cqrs_es::Aggregate;
use gdmarket_domain::{
    ItemCommand, ItemNo, ManagerName, MarketCommand, MarketEvent, Reservation, ReservationEvent,
    ReservationNo,
};
use serde_json::Value;

/// The table of reactions.
#[derive(Debug)]
pub(crate) struct Holding;

impl Manager for Holding {
    type Step = Step;

    fn name(&self) -> &'static str {
        ManagerName::Holding.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        &[Reservation::TYPE]
    }

    fn react(&self, event: &MarketEvent, _moment: Moment) -> Option<Reactions> {
        let MarketEvent::Reservation(event) = event else { return None };
        let (item_no, reservation_no, rule, command) = command(event)?;
        Some(Reactions {
            partition: format!("item/{item_no}"),
            key: format!("reservation/{reservation_no}"),
            is_concurrent: rule == Rule::Hold,
            steps: vec![Reaction::Do(Step::Send(rule, MarketCommand::Item(item_no, command)))],
        })
    }

    fn due(&self, _key: &str, _data: &Value, _moment: Moment) -> Option<Due> {
        None
    }

    fn compensate(&self, step: &Step, refusal: &str) -> Remedy<Step> {
        step.remedy(refusal)
    }
}

fn command(event: &ReservationEvent) -> Option<(ItemNo, ReservationNo, Rule, ItemCommand)> {
    use ReservationEvent as E;
    Some(match *event {
        E::Requested { reservation_no, item_no, renter_id, period, asked_on } => {
            let hold = ItemCommand::Hold { reservation_no, renter_id, period, asked_on };
            (item_no, reservation_no, Rule::Hold, hold)
        }
        E::Paid { reservation_no, item_no, .. } => {
            let authorize = ItemCommand::AuthorizeLending { reservation_no };
            (item_no, reservation_no, Rule::Authorize, authorize)
        }
        E::CancellationRequested { reservation_no, item_no }
        | E::PaymentCancellationRequested { reservation_no, item_no } => {
            let revoke = ItemCommand::RevokeLending { reservation_no };
            (item_no, reservation_no, Rule::Revoke, revoke)
        }
        E::Cancelled { reservation_no, item_no, .. } | E::Expired { reservation_no, item_no } => {
            let release = ItemCommand::Release { reservation_no };
            (item_no, reservation_no, Rule::Release, release)
        }
        E::Reserved { .. }
        | E::Rejected { .. }
        | E::CancellationRefused { .. }
        | E::PaymentRequested { .. }
        | E::PaymentFailed { .. }
        | E::PaymentCancellationRefused { .. }
        | E::PaymentCancelled { .. }
        | E::LatePaymentRecorded { .. }
        | E::RentalStarted { .. }
        | E::RentalCompleted { .. } => return None,
    })
}
