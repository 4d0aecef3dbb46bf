//! Reserving and cancelling. The item decides both once there is something to decide, so the answer
//! is what the log says within the time that a caller should wait.

use super::bodies::{Known, NewReservationBody, ReservationPatch, ReservationPatchBody};
use super::outcome::AwaitedOutcome;
use super::write_outcome::WriteOutcome;
use super::{Answer, CommandState, DECISION_WAIT, VIEW_WAIT, refuse_if_match, until};
use crate::answers::NEWEST;
use crate::extract::body::Fields;
use crate::extract::caller::Caller;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use crate::resource::ReservationResource;
use axum::extract::State;
use gdmarket_commands::{CommandMeta, Executed, NewReservation};
use gdmarket_domain::{Actor, PersonId, ReservationNo};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(reserve))
        .routes(routes!(patch, cancel))
        .routes(routes!(cancel_by_post))
}

/// Reserve an item.
///
/// 202 when the item side doesn't answer in time: the request is kept and settles later.
#[utoipa::path(post, path = "/reservations", operation_id = "reserve",
    tag = "reservations",
    request_body = NewReservationBody,
    responses(
        (status = 201, description = "Reserved.", body = ReservationResource),
        (status = 202, description = "Requested.", body = ReservationResource)))]
pub(super) async fn reserve(
    State(state): State<CommandState>,
    caller: Caller,
    fields: Fields,
) -> Answer {
    let meta = state.meta(&caller, &fields);
    let first_day = state.first_day(&meta).await?;
    let mut form = Form::new(fields);
    let body = NewReservationBody::read(&mut form, first_day);
    let NewReservationBody { item_no, customer_id, customer_name, period } = form.finish(body)?;
    refuse_if_match(&caller)?;
    let renter_id = renter_of(&caller.actor, customer_id)?;
    let asked_on = state.today();
    let reservation = NewReservation { item_no, renter_id, customer_name, period, asked_on };
    let executed = state.commands.reserve(reservation, &meta).await?;
    let no = ReservationNo::new(executed.number)
        .map_err(|error| Problem::internal(error.to_string()))?;
    let patience = until(&caller, DECISION_WAIT);
    let written = match state.outcome(no, &executed, AwaitedOutcome::Days, patience).await? {
        None => WriteOutcome::pending(&executed),
        Some(outcome) => {
            state.settled(outcome.position, 1, until(&caller, VIEW_WAIT)).await;
            outcome.refusal(executed.replayed)?;
            WriteOutcome {
                status: StatusCode::CREATED,
                version: outcome.sequence,
                position: outcome.position,
                replayed: executed.replayed,
            }
        }
    };
    state.show_own_reservation(&caller, no, (renter_id, written)).await
}

/// Whose a reservation will be: the body's customer, whom a renter can't contradict.
fn renter_of(actor: &Actor, said: Option<PersonId>) -> Result<PersonId, Problem> {
    match actor {
        Actor::Renter(me) if said.is_none_or(|said| said == *me) => Ok(*me),
        Actor::Operator(_) => said
            .ok_or_else(|| Problem::invalid(vec![FieldFault::new("customerId", Fault::Required)])),
        Actor::Renter(_) | Actor::Owner(_) | Actor::Process(_) | Actor::Anonymous => {
            Err(Problem::new(&kind::WRONG_ACTOR))
        }
    }
}

/// Pay a reservation, or take its payment back.
///
/// `paymentStatus` names the transition.
#[utoipa::path(patch, path = "/reservations/{reservationNo}", operation_id = "patchReservation",
    tag = "reservations",
    request_body = ReservationPatchBody,
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses(
        (status = 200, description = "Done, or so already.", body = ReservationResource),
        (status = 202, description = "The outcome isn't in.", body = ReservationResource)))]
pub(super) async fn patch(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let meta = state.reservation_meta(&caller, &fields, no).await?;
    let viewer = state.viewer(&caller);
    let found = state.answers.reservation_at(no, NEWEST, &viewer).await?;
    let found = found.ok_or_else(|| Problem::new(&kind::RESERVATION_NOT_FOUND))?.body;
    let known =
        Known { reservation_no: no, item_no: found.item_no, customer_id: found.customer_id };
    let mut form = Form::new(fields);
    let patch = ReservationPatch::read(&mut form, known);
    match form.finish(patch)? {
        ReservationPatch::Pay => state.pay(&caller, no, &meta).await,
        ReservationPatch::TakeBack => state.take_back(&caller, no, &meta).await,
    }
}

/// Cancel a reservation.
///
/// The renter may, and the owner before lending. Something paid is refunded; whether it can still be
/// cancelled the item decides.
#[utoipa::path(delete, path = "/reservations/{reservationNo}", operation_id = "cancelReservation",
    tag = "reservations",
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses(
        (status = 200, description = "Cancelled, or so already.", body = ReservationResource),
        (status = 202, description = "Requested.", body = ReservationResource)))]
pub(super) async fn cancel(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let meta = state.reservation_meta(&caller, &fields, no).await?;
    Form::new(fields).finish(Some(()))?;
    let patience = until(&caller, state.payment_wait);
    let executed = loop {
        let head = state.answers.head();
        let done = state.commands.cancel_reservation(no, &meta).await;
        if !state.was_paying(&done, head, patience).await {
            break done?;
        }
    };
    state.answer_when_decided(&caller, no, &executed, AwaitedOutcome::Cancellation).await
}

/// Cancel a reservation.
#[utoipa::path(post, path = "/reservations/{reservationNo}/cancel", operation_id = "cancelReservationByPost",
    tag = "reservations",
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses(
        (status = 200, description = "Cancelled, or so already.", body = ReservationResource),
        (status = 202, description = "Requested.", body = ReservationResource)))]
pub(super) async fn cancel_by_post(
    state: State<CommandState>,
    caller: Caller,
    number: Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    cancel(state, caller, number, fields).await
}

impl CommandState {
    /// Takes a payment back.
    pub(super) async fn take_back(
        &self,
        caller: &Caller,
        no: ReservationNo,
        meta: &CommandMeta,
    ) -> Answer {
        let patience = until(caller, self.payment_wait);
        let executed = loop {
            let head = self.answers.head();
            let done = self.commands.cancel_payment(no, meta).await;
            if !self.was_paying(&done, head, patience).await {
                break done?;
            }
        };
        self.answer_when_decided(caller, no, &executed, AwaitedOutcome::TakingBack).await
    }

    /// Answers a request that the item may have to decide.
    async fn answer_when_decided(
        &self,
        caller: &Caller,
        no: ReservationNo,
        executed: &Executed,
        wanted: AwaitedOutcome,
    ) -> Answer {
        let patience = until(caller, VIEW_WAIT);
        let written = match self.outcome(no, executed, wanted, patience).await? {
            None => WriteOutcome::pending(executed),
            Some(outcome) => {
                self.settled(outcome.position, 1, until(caller, VIEW_WAIT)).await;
                outcome.refusal(executed.replayed)?;
                WriteOutcome {
                    status: StatusCode::OK,
                    version: outcome.sequence,
                    position: outcome.position,
                    replayed: executed.replayed,
                }
            }
        };
        self.show_reservation(caller, no, written).await
    }
}
