//! Paying and taking back. Nothing is charged twice: a repeat of a request finds its attempt, and a
//! second request while one is open waits for that one's outcome.

use super::CommandState;
use super::outcome::AwaitedOutcome;
use super::write_outcome::WriteOutcome;
use super::{Answer, DECISION_WAIT, VIEW_WAIT, is_refused, until};
use crate::extract::body::Fields;
use crate::extract::caller::Caller;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::problem::{Problem, kind};
use crate::resource::ReservationResource;
use axum::extract::State;
use gdmarket_commands::{CommandError, CommandMeta, PaymentAsked, PaymentOutcome};
use gdmarket_domain::ReservationNo;
use http::StatusCode;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(pay)).routes(routes!(cancel))
}

/// Pay a reservation.
///
/// 202 while the gateway's answer isn't in; what is charged is the reservation's `totalPrice`.
#[utoipa::path(post, path = "/reservations/{reservationNo}/payment", operation_id = "payReservation",
    tag = "payments",
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses(
        (status = 200, description = "Paid, or so already.", body = ReservationResource),
        (status = 202, description = "The outcome isn't in.", body = ReservationResource)))]
pub(super) async fn pay(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let meta = state.reservation_meta(&caller, &fields, no).await?;
    Form::new(fields).finish(Some(()))?;
    state.pay(&caller, no, &meta).await
}

/// Take a payment back; the reservation stays.
///
/// 200 once it is in the log; the refund follows.
#[utoipa::path(post, path = "/reservations/{reservationNo}/payment/cancel", operation_id = "cancelPayment",
    tag = "payments",
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses(
        (status = 200, description = "Taken back.", body = ReservationResource),
        (status = 202, description = "Requested.", body = ReservationResource)))]
pub(super) async fn cancel(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let meta = state.reservation_meta(&caller, &fields, no).await?;
    Form::new(fields).finish(Some(()))?;
    state.take_back(&caller, no, &meta).await
}

impl CommandState {
    pub(super) async fn pay(
        &self,
        caller: &Caller,
        no: ReservationNo,
        meta: &CommandMeta,
    ) -> Answer {
        let patience = until(caller, self.payment_wait);
        let asked = loop {
            let head = self.answers.head();
            let left = patience.saturating_duration_since(Instant::now());
            let done = self.commands.request_payment(no, left, meta).await;
            if !self.was_paying(&done, head, patience).await {
                break done?;
            }
        };
        let PaymentAsked { executed, payment_no: Some(payment_no), outcome } = asked else {
            let written = WriteOutcome::by(&asked.executed, StatusCode::OK);
            return self.show_reservation(caller, no, written).await;
        };
        // What is known to the payment side is on its way to the reservation: worth a longer wait
        // than an answer that nobody has.
        let wait = match outcome {
            PaymentOutcome::OutcomeUnknown => VIEW_WAIT,
            PaymentOutcome::Approved | PaymentOutcome::Declined { .. } => DECISION_WAIT,
        };
        let patience = until(caller, wait);
        match self.outcome(no, &executed, AwaitedOutcome::Payment(payment_no), patience).await? {
            Some(decided) => {
                self.settled(decided.position, 1, until(caller, VIEW_WAIT)).await;
                decided.refusal(executed.replayed)?;
                let written = WriteOutcome {
                    status: StatusCode::OK,
                    version: decided.sequence,
                    position: decided.position,
                    replayed: executed.replayed,
                };
                self.show_reservation(caller, no, written).await
            }
            None if matches!(outcome, PaymentOutcome::Declined { .. }) => {
                Err(Problem::new(&kind::PAYMENT_DECLINED).replayed(executed.replayed))
            }
            None => self.show_reservation(caller, no, WriteOutcome::pending(&executed)).await,
        }
    }

    /// Whether an open payment attempt was in the way and something has happened since: then it is
    /// worth another try. Waits for that until the time is over.
    pub(super) async fn was_paying<T: Sync>(
        &self,
        done: &Result<T, CommandError>,
        head: i64,
        patience: Instant,
    ) -> bool {
        let was_paying =
            done.as_ref().is_err_and(|error| is_refused(error, &kind::PAYMENT_PENDING));
        was_paying && self.answers.moved_past(head, patience).await
    }
}
