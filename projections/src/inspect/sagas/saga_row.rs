//! An open step as it is shown: one row per step, so that a rental with a refund in flight has two.

use super::next_step::{NextStep, SagaParts};
use super::obstacles::{Obstacles, ParkedReaction, service_of};
use super::open_saga::OpenStep;
use super::saga_key::{SagaKey, payment_no};
use super::step::SagaStep;
use chrono::{DateTime, Days, NaiveDate, Utc};
use cqrs_es::Aggregate as _;
use gdmarket_domain::{ItemNo, ManagerName, Payment, PaymentNo, ReservationNo, Service, Services};
use serde::Serialize;

/// The error of a refund that the gateway refuses, where nothing is parked for it.
const REFUND_REFUSED: &str = "the gateway refuses the refund";

/// An open step of a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaRow {
    /// The saga: `reservation/7`, `item/3`.
    pub saga: String,
    /// `rental`, `registration` or `deletion`.
    pub kind: &'static str,
    /// The reservation of a rental.
    pub reservation_no: Option<ReservationNo>,
    /// The item, where it is known.
    pub item_no: Option<ItemNo>,
    /// The payment attempt that the step is about.
    pub payment_no: Option<PaymentNo>,
    /// The state of the reservation or of the item; `None` where its log isn't read.
    pub state: Option<&'static str>,
    /// The progress of the payment attempt, once it was started.
    pub payment_state: Option<&'static str>,
    /// The step.
    pub step: &'static str,
    /// The person or service that it waits for.
    pub waits_for: &'static str,
    /// What the awaited party is to do.
    pub purpose: &'static str,
    /// The service that appends the next event.
    pub service: &'static str,
    /// The process manager that takes the step; `None` where a person does.
    pub process: Option<&'static str>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
    /// For how long it waits.
    pub age_seconds: i64,
    /// When something happens by itself.
    pub deadline: Option<DateTime<Utc>>,
    /// The last day of a period on which a person may do it.
    pub last_day: Option<NaiveDate>,
    /// Whether its last try failed, or an operator is needed.
    pub is_failed: bool,
    /// Why.
    pub error: Option<String>,
    /// What is parked for it.
    pub parked: Vec<ParkedReaction>,
    /// The services whose logs aren't read here, so that they may know more.
    pub unseen: Vec<&'static str>,
}

/// The rows of one saga are built from these.
pub(super) struct SagaShown<'a> {
    pub(super) parts: &'a SagaParts,
    pub(super) steps: &'a [OpenStep],
    /// What is parked for this saga.
    pub(super) parked: Vec<ParkedReaction>,
}

/// What all rows have in common.
#[derive(Clone, Copy)]
pub(super) struct RowContext<'a> {
    pub(super) obstacles: &'a Obstacles,
    pub(super) now: DateTime<Utc>,
    pub(super) seen: Services,
}

/// The rows of a saga: its open steps, and what is parked and belongs to none of them.
pub(super) fn rows_of(saga: SagaShown<'_>, context: RowContext<'_>) -> Vec<SagaRow> {
    let SagaShown { parts, steps, parked } = saga;
    let mut rows: Vec<SagaRow> = steps.iter().map(|step| row(parts, *step, context)).collect();
    for parked in parked {
        let place = steps.iter().position(|step| is_obstacle(&parked, step.next));
        match place.and_then(|place| rows.get_mut(place)) {
            Some(row) => row.parked.push(parked),
            None => rows.push(reaction_row(parts, parked, context)),
        }
    }
    for row in &mut rows {
        let reason = row.parked.first().map(|of| of.parked.reason.clone());
        row.error = reason.or_else(|| row.error.take());
        row.is_failed = row.error.is_some();
    }
    rows
}

/// Whether a parked reaction keeps a step from being done.
fn is_obstacle(parked: &ParkedReaction, next: NextStep) -> bool {
    let is_same_payment = parked.payment_no().is_none_or(|no| next.payment_no == Some(no));
    !next.step.awaits().is_customer()
        && is_same_payment
        && parked.service() == Some(next.step.service())
}

fn reaction_row(parts: &SagaParts, parked: ParkedReaction, context: RowContext<'_>) -> SagaRow {
    // A manager that this program doesn't know is another version's.
    let service = parked.service().unwrap_or(Service::Reservation);
    let next = NextStep { step: SagaStep::React(service), payment_no: parked.payment_no() };
    let since = parked.parked.since.timestamp_micros();
    SagaRow { parked: vec![parked], ..row(parts, OpenStep { next, since }, context) }
}

fn row(parts: &SagaParts, open: OpenStep, context: RowContext<'_>) -> SagaRow {
    let open = expired(parts, open, context.now);
    let OpenStep { next: NextStep { step, payment_no }, since } = open;
    let since = DateTime::from_timestamp_micros(since).unwrap_or_default();
    let reservation_no = match parts.key {
        SagaKey::Reservation(no) => Some(no),
        SagaKey::Item(_) => None,
    };
    let unseen = Services::ALL.without(context.seen).iter().map(Service::name).collect();
    SagaRow {
        saga: parts.key.to_string(),
        kind: kind_of(parts),
        reservation_no,
        item_no: parts.item_no,
        payment_no,
        state: parts.state,
        payment_state: payment_no.and_then(|no| parts.payments.get(&no).copied().flatten()),
        step: step.name(),
        waits_for: step.awaits().name(),
        purpose: step.purpose(),
        service: step.service().name(),
        process: step.manager().map(ManagerName::name),
        since,
        age_seconds: (context.now - since).num_seconds().max(0),
        deadline: deadline(parts, open.next, context.obstacles),
        last_day: last_day(parts, step),
        is_failed: false,
        error: dropped(parts, open, context.obstacles)
            .or_else(|| (step == SagaStep::SettleRefund).then(|| REFUND_REFUSED.to_owned())),
        parked: vec![],
        unseen,
    }
}

/// The step after the end of the time to pay.
fn expired(parts: &SagaParts, open: OpenStep, now: DateTime<Utc>) -> OpenStep {
    match parts.pay_by {
        Some(pay_by) if open.next.step == SagaStep::Pay && pay_by <= now => {
            OpenStep { next: SagaStep::Expire.into(), since: pay_by.timestamp_micros() }
        }
        Some(_) | None => open,
    }
}

fn kind_of(parts: &SagaParts) -> &'static str {
    match parts.key {
        SagaKey::Reservation(_) => "rental",
        SagaKey::Item(_) if parts.state == Some("Deleted") => "deletion",
        SagaKey::Item(_) => "registration",
    }
}

/// When something happens by itself: the time to pay ends, the gateway is asked, a registration is abandoned.
fn deadline(parts: &SagaParts, next: NextStep, obstacles: &Obstacles) -> Option<DateTime<Utc>> {
    match next.step {
        SagaStep::Pay | SagaStep::Expire => parts.pay_by,
        SagaStep::Charge | SagaStep::Settle => {
            let key = format!("{}/{}", Payment::TYPE, next.payment_no?);
            obstacles.due_at(ManagerName::PaymentProcess, key)
        }
        SagaStep::Register => obstacles.due_at(ManagerName::Abandonment, parts.key.to_string()),
        SagaStep::Hold
        | SagaStep::Confirm
        | SagaStep::Reject
        | SagaStep::RecordOutcome
        | SagaStep::RecordLateApproval
        | SagaStep::Authorize
        | SagaStep::Lend
        | SagaStep::RecordLending
        | SagaStep::Revoke
        | SagaStep::RecordDecision
        | SagaStep::Return
        | SagaStep::RecordReturn
        | SagaStep::Release
        | SagaStep::Refund
        | SagaStep::SettleRefund
        | SagaStep::Withdraw
        | SagaStep::AnnounceDeletion
        | SagaStep::React(_) => None,
    }
}

/// The last day to fetch the item, or the day of return.
fn last_day(parts: &SagaParts, step: SagaStep) -> Option<NaiveDate> {
    let day_of_return = parts.period?.to();
    if step == SagaStep::Lend {
        day_of_return.checked_sub_days(Days::new(1))
    } else if step == SagaStep::Return {
        Some(day_of_return)
    } else {
        None
    }
}

/// Why an operator has dropped the reaction that the step waits for, if one did.
fn dropped(parts: &SagaParts, open: OpenStep, obstacles: &Obstacles) -> Option<String> {
    let step = open.next.step;
    let saga = parts.key.to_string();
    let is_it = |manager: &str, key: &str| {
        let is_about = match payment_no(key) {
            Some(no) => open.next.payment_no == Some(no),
            None => key == saga,
        };
        is_about && service_of(manager) == Some(step.service())
    };
    let found = obstacles.dropped.iter().rev().find(|of| {
        is_it(&of.subscription, &of.key) && of.dropped_at.timestamp_micros() >= open.since
    });
    let is_process = step.manager().is_some();
    found.filter(|_| is_process).map(|of| format!("dropped by an operator: {}", of.reason))
}
