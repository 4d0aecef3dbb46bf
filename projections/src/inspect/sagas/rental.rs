//! A rental as a saga: the reservation, what the item has decided about it, and its payment attempts.
//!
//! The next steps follow from the states of the three by an exhaustive match: a new state needs an answer here. What
//! another service's log would have to say is left out where that log isn't read.

use super::next_step::{NextStep, SagaParts};
use super::saga_key::SagaKey;
use super::step::SagaStep;
use cqrs_es::Aggregate as _;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::reservation::{Cancelling, ReservationStage};
use gdmarket_domain::{
    Decider as _, HoldEvent, ItemEvent, ItemNo, MarketEvent, Payment, PaymentEvent, PaymentNo,
    Reservation, ReservationEvent, ReservationNo, Service, Services,
};
use std::collections::BTreeMap;

/// A rental.
#[derive(Debug, Clone, Default)]
pub(super) struct Rental {
    reservation: Reservation,
    hold: HoldProgress,
    /// Whether the item has decided on the last requested cancellation.
    is_revocation_decided: bool,
    attempts: BTreeMap<PaymentNo, RentalPayment>,
    item_no: Option<ItemNo>,
}

/// What the item has decided about the reservation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum HoldProgress {
    /// Nothing yet.
    #[default]
    Unanswered,
    /// The days were refused.
    Refused,
    /// The days are held.
    Held,
    /// The days are held, and the item may be handed over.
    Authorized,
    /// The renter has the item.
    Rented,
    /// The item is back.
    Returned,
    /// The days were released.
    Released,
}

/// A payment attempt of the rental.
#[derive(Debug, Clone, Default)]
struct RentalPayment {
    /// How far it has come; `None` while it wasn't started. It is known from the last event alone, since a saga that
    /// had ended begins with any event.
    progress: Option<AttemptProgress>,
    /// Whether the reservation wants the money back.
    is_refund_due: bool,
}

impl Rental {
    pub(super) fn apply(&mut self, event: MarketEvent) {
        match event {
            MarketEvent::Reservation(event) => {
                self.note(&event);
                self.reservation.apply(event);
            }
            MarketEvent::Item(event) => self.apply_item(&event),
            MarketEvent::Hold(HoldEvent::Refused { item_no, .. }) => {
                self.item_no = Some(item_no);
                self.hold = HoldProgress::Refused;
            }
            MarketEvent::Payment(event) => self.apply_payment(&event),
            MarketEvent::Alarm(_) => {}
        }
    }

    /// Notes what an event of the reservation means for the item and for the payments.
    fn note(&mut self, event: &ReservationEvent) {
        use ReservationEvent as E;
        match event {
            E::PaymentRequested { payment_no, .. } => {
                self.attempts.entry(*payment_no).or_default();
            }
            E::Cancelled { payment_no: Some(payment_no), .. }
            | E::PaymentCancelled { payment_no, .. }
            | E::LatePaymentRecorded { payment_no, .. } => {
                self.attempts.entry(*payment_no).or_default().is_refund_due = true;
            }
            E::CancellationRequested { .. } | E::PaymentCancellationRequested { .. } => {
                self.is_revocation_decided = false;
            }
            E::Requested { .. }
            | E::Reserved { .. }
            | E::Rejected { .. }
            | E::CancellationRefused { .. }
            | E::Cancelled { payment_no: None, .. }
            | E::Paid { .. }
            | E::PaymentFailed { .. }
            | E::PaymentCancellationRefused { .. }
            | E::RentalStarted { .. }
            | E::RentalCompleted { .. }
            | E::Expired { .. } => {}
        }
    }

    fn apply_item(&mut self, event: &ItemEvent) {
        use ItemEvent as E;
        self.hold = match event {
            E::Held { item_no, .. } => {
                self.item_no = Some(*item_no);
                HoldProgress::Held
            }
            E::Released { .. } => HoldProgress::Released,
            E::LendingAuthorized { .. } => HoldProgress::Authorized,
            E::LendingRevoked { .. } => {
                self.is_revocation_decided = true;
                HoldProgress::Held
            }
            E::LendingRevocationRefused { .. } => {
                self.is_revocation_decided = true;
                return;
            }
            E::Rented { .. } => HoldProgress::Rented,
            E::Returned { .. } => HoldProgress::Returned,
            E::Registered { .. }
            | E::Changed { .. }
            | E::Deleted { .. }
            | E::PeriodBlocked { .. }
            | E::PeriodUnblocked { .. }
            | E::RegistrationAbandoned { .. } => return,
        };
    }

    fn apply_payment(&mut self, event: &PaymentEvent) {
        if let PaymentEvent::Started { item_no, .. } = event {
            self.item_no = Some(*item_no);
        }
        if let Ok(payment_no) = PaymentNo::new(Payment::number_of(event)) {
            self.attempts.entry(payment_no).or_default().progress = Some(progress_after(event));
        }
    }

    /// Whether the beginning of the reservation is missing among its events.
    pub(super) const fn is_partial(&self) -> bool {
        self.reservation.request().is_none()
    }

    /// The attempts of the rental.
    pub(super) fn payments(&self) -> impl Iterator<Item = PaymentNo> {
        self.attempts.keys().copied()
    }

    /// The item, once it is known.
    pub(super) fn item_no(&self) -> Option<ItemNo> {
        self.reservation.request().map(|request| request.item_no).or(self.item_no)
    }

    /// The next steps, as far as the logs of these services show them.
    pub(super) fn next_steps(&self, seen: Services) -> Vec<NextStep> {
        let mut steps = if seen.contains(Service::Reservation) {
            let hold = seen.contains(Service::Item).then_some(self.hold);
            self.steps_of_reservation(hold)
        } else if seen.contains(Service::Item) {
            self.step_of_hold().into_iter().collect()
        } else {
            vec![]
        };
        if seen.contains(Service::Payment) {
            let of_attempts =
                self.attempts.iter().filter_map(|(no, paid)| self.step_of_attempt(*no, paid, seen));
            steps.extend(of_attempts);
        }
        steps
    }

    /// The steps that the reservation waits for; without `hold` the item's log isn't read.
    fn steps_of_reservation(&self, hold: Option<HoldProgress>) -> Vec<NextStep> {
        use ReservationStage as S;
        match self.reservation.stage() {
            S::New | S::Rejected => vec![],
            S::Requested => vec![after_request(hold).into()],
            S::Unpaid { .. } => vec![SagaStep::Pay.into()],
            S::PaymentOpen { payment_no } => vec![self.step_of_open_attempt(payment_no)],
            S::Paid { .. } => vec![after_payment(hold).into()],
            S::CancellationPending { .. } => {
                let lent = is_lent(hold).then_some(SagaStep::RecordLending);
                lent.into_iter().chain([self.decision()]).map(NextStep::from).collect()
            }
            S::Renting { request, .. } => {
                let back = match hold {
                    Some(HoldProgress::Returned) => SagaStep::RecordReturn,
                    None
                    | Some(
                        HoldProgress::Unanswered
                        | HoldProgress::Refused
                        | HoldProgress::Held
                        | HoldProgress::Authorized
                        | HoldProgress::Rented
                        | HoldProgress::Released,
                    ) => SagaStep::Return,
                };
                [back].into_iter().chain(self.decision_on(request)).map(NextStep::from).collect()
            }
            S::Completed { request, .. } => {
                self.decision_on(request).into_iter().map(NextStep::from).collect()
            }
            S::Cancelled | S::Expired => after_end(hold).into_iter().map(NextStep::from).collect(),
        }
    }

    const fn decision(&self) -> SagaStep {
        if self.is_revocation_decided { SagaStep::RecordDecision } else { SagaStep::Revoke }
    }

    fn decision_on(&self, request: Option<Cancelling>) -> Option<SagaStep> {
        request.map(|_| self.decision())
    }

    fn step_of_open_attempt(&self, payment_no: PaymentNo) -> NextStep {
        use AttemptProgress as P;
        let attempt = self.attempts.get(&payment_no);
        let step = match attempt.and_then(|attempt| attempt.progress) {
            None | Some(P::Pending) => SagaStep::Charge,
            Some(P::Unknown) => SagaStep::Settle,
            Some(P::Approved | P::Declined | P::Cancelling | P::RefundRefused | P::Cancelled) => {
                SagaStep::RecordOutcome
            }
        };
        NextStep { step, payment_no: Some(payment_no) }
    }

    /// The step of the item's side alone, where the reservation's log isn't read.
    const fn step_of_hold(&self) -> Option<NextStep> {
        let step = match self.hold {
            HoldProgress::Held => SagaStep::Pay,
            HoldProgress::Authorized => SagaStep::Lend,
            HoldProgress::Rented => SagaStep::Return,
            HoldProgress::Unanswered
            | HoldProgress::Refused
            | HoldProgress::Returned
            | HoldProgress::Released => return None,
        };
        Some(NextStep { step, payment_no: None })
    }

    /// The step of an attempt itself; what the reservation waits for is a step of the reservation.
    fn step_of_attempt(
        &self,
        payment_no: PaymentNo,
        attempt: &RentalPayment,
        seen: Services,
    ) -> Option<NextStep> {
        use AttemptProgress as P;
        let is_seen = seen.contains(Service::Reservation);
        let is_wanted = is_seen && self.is_wanted(payment_no);
        let step = match attempt.progress {
            Some(P::RefundRefused) => SagaStep::SettleRefund,
            Some(P::Cancelling) => SagaStep::Refund,
            None | Some(P::Pending | P::Unknown | P::Approved | P::Declined)
                if attempt.is_refund_due =>
            {
                SagaStep::Refund
            }
            Some(P::Approved) if is_seen && !is_wanted => SagaStep::RecordLateApproval,
            Some(P::Pending) if !is_wanted => SagaStep::Charge,
            Some(P::Unknown) if !is_wanted => SagaStep::Settle,
            None | Some(P::Pending | P::Unknown | P::Approved | P::Declined | P::Cancelled) => {
                return None;
            }
        };
        Some(NextStep { step, payment_no: Some(payment_no) })
    }

    /// Whether the reservation waits for this attempt or was paid by it.
    fn is_wanted(&self, attempt: PaymentNo) -> bool {
        use ReservationStage as S;
        match self.reservation.stage() {
            S::PaymentOpen { payment_no }
            | S::Paid { payment_no }
            | S::CancellationPending { payment_no, .. }
            | S::Renting { payment_no, .. }
            | S::Completed { payment_no, .. } => payment_no == attempt,
            S::New | S::Requested | S::Unpaid { .. } | S::Rejected | S::Cancelled | S::Expired => {
                false
            }
        }
    }

    /// The parts that are shown of it.
    pub(super) fn parts(&self, no: ReservationNo, seen: Services) -> SagaParts {
        use ReservationStage as S;
        let stage = self.reservation.stage();
        let request = self.reservation.request();
        let progress = |of: &RentalPayment| of.progress.map(progress_name);
        SagaParts {
            key: SagaKey::Reservation(no),
            item_no: self.item_no(),
            state: seen.contains(Service::Reservation).then(|| stage_name(stage)).flatten(),
            pay_by: if let S::Unpaid { pay_by } = stage { Some(pay_by) } else { None },
            period: request.and_then(|request| request.period),
            payments: self.attempts.iter().map(|(no, of)| (*no, progress(of))).collect(),
        }
    }
}

const fn after_request(hold: Option<HoldProgress>) -> SagaStep {
    match hold {
        None | Some(HoldProgress::Unanswered) => SagaStep::Hold,
        Some(HoldProgress::Refused) => SagaStep::Reject,
        Some(
            HoldProgress::Held
            | HoldProgress::Authorized
            | HoldProgress::Rented
            | HoldProgress::Returned
            | HoldProgress::Released,
        ) => SagaStep::Confirm,
    }
}

const fn after_payment(hold: Option<HoldProgress>) -> SagaStep {
    match hold {
        Some(
            HoldProgress::Unanswered
            | HoldProgress::Refused
            | HoldProgress::Held
            | HoldProgress::Released,
        ) => SagaStep::Authorize,
        None | Some(HoldProgress::Authorized) => SagaStep::Lend,
        Some(HoldProgress::Rented | HoldProgress::Returned) => SagaStep::RecordLending,
    }
}

/// The step after a cancellation or the end of the time to pay. A request that the item hasn't answered is still
/// going to be answered, and a hold is released afterwards.
const fn after_end(hold: Option<HoldProgress>) -> Option<SagaStep> {
    match hold {
        None | Some(HoldProgress::Refused | HoldProgress::Released | HoldProgress::Returned) => {
            None
        }
        Some(
            HoldProgress::Unanswered
            | HoldProgress::Held
            | HoldProgress::Authorized
            | HoldProgress::Rented,
        ) => Some(SagaStep::Release),
    }
}

const fn is_lent(hold: Option<HoldProgress>) -> bool {
    matches!(hold, Some(HoldProgress::Rented | HoldProgress::Returned))
}

const fn progress_after(event: &PaymentEvent) -> AttemptProgress {
    match event {
        PaymentEvent::Started { .. } => AttemptProgress::Pending,
        PaymentEvent::Approved { .. } => AttemptProgress::Approved,
        PaymentEvent::Declined { .. } => AttemptProgress::Declined,
        PaymentEvent::OutcomeUnknown { .. } => AttemptProgress::Unknown,
        PaymentEvent::CancellationStarted { .. } => AttemptProgress::Cancelling,
        PaymentEvent::RefundRefused { .. } => AttemptProgress::RefundRefused,
        PaymentEvent::Cancelled { .. } => AttemptProgress::Cancelled,
    }
}

/// The name of a stage; `None` before there is a reservation.
const fn stage_name(stage: ReservationStage) -> Option<&'static str> {
    use ReservationStage as S;
    Some(match stage {
        S::New => return None,
        S::Requested => "Requested",
        S::Unpaid { .. } => "Unpaid",
        S::PaymentOpen { .. } => "PaymentOpen",
        S::Paid { .. } => "Paid",
        S::CancellationPending { .. } => "CancellationPending",
        S::Renting { .. } => "Renting",
        S::Completed { .. } => "Completed",
        S::Rejected => "Rejected",
        S::Cancelled => "Cancelled",
        S::Expired => "Expired",
    })
}

const fn progress_name(progress: AttemptProgress) -> &'static str {
    match progress {
        AttemptProgress::Pending => "Pending",
        AttemptProgress::Unknown => "Unknown",
        AttemptProgress::Approved => "Approved",
        AttemptProgress::Declined => "Declined",
        AttemptProgress::Cancelling => "Cancelling",
        AttemptProgress::RefundRefused => "RefundRefused",
        AttemptProgress::Cancelled => "Cancelled",
    }
}
