//! Reserving and cancelling.

use super::bodies::{EmptyBody, NewReservationBody};
use super::patches::{ReservationPatch, ReservationPatchBody};
use super::{Answer, CommandState, refuse_if_match};
use crate::extract::caller::Caller;
use crate::extract::fields::Fields;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use crate::resource::ReservationResource;
use axum::extract::State;
use gdmarket_app::{ReservationRequest, renter_of};
use gdmarket_domain::ReservationNo;
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
    let context = state.context(&caller, &fields);
    let first_day = state.use_cases.first_day(&context).await?;
    let NewReservationBody { item_no, customer_id, customer_name, period } =
        Form::new(fields).not_before(first_day).body()?;
    refuse_if_match(&caller)?;
    let renter_id = renter_of(&caller.actor, customer_id)?
        .ok_or_else(|| Problem::invalid(vec![FieldFault::new("customerId", Fault::Required)]))?;
    let request = ReservationRequest { item_no, renter_id, customer_name, period };
    let outcome = state.use_cases.reserve(request, &context).await?;
    state.answer(&caller, outcome, StatusCode::CREATED)
}

/// Pay a reservation, or take its payment back.
///
/// `paymentStatus` names the transition.
#[utoipa::path(patch, path = "/reservations/{reservationNo}", operation_id = "patchReservation",
    tag = "reservations",
    request_body = ReservationPatchBody,
    params(Numbered::<ReservationNo>),
    responses(
        (status = 200, description = "Done, or already in the requested state.", body = ReservationResource),
        (status = 202, description = "The outcome isn't known yet.", body = ReservationResource)))]
pub(super) async fn patch(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let context = state.reservation_context(&caller, &fields, no).await?;
    let found = state.use_cases.reservation(no).await?;
    let found = found.ok_or_else(|| Problem::new(&kind::RESERVATION_NOT_FOUND))?.body;
    let form = Form::new(fields)
        .must_repeat("reservationNo", &no)
        .must_repeat("itemNo", &found.item_no)
        .must_repeat("customerId", &found.customer_id);
    let ReservationPatchBody { payment_status, .. } = form.body()?;
    let outcome = match payment_status {
        ReservationPatch::Pay => state.use_cases.pay(no, &context).await?,
        ReservationPatch::TakeBack => state.use_cases.cancel_payment(no, &context).await?,
    };
    state.answer(&caller, outcome, StatusCode::OK)
}

/// Cancel a reservation.
///
/// The renter may, and the owner before lending. Something paid is refunded; whether it can still be
/// cancelled the item decides.
#[utoipa::path(delete, path = "/reservations/{reservationNo}", operation_id = "cancelReservation",
    tag = "reservations",
    params(Numbered::<ReservationNo>),
    responses(
        (status = 200, description = "Cancelled, or already cancelled.", body = ReservationResource),
        (status = 202, description = "Requested.", body = ReservationResource)))]
pub(super) async fn cancel(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let context = state.reservation_context(&caller, &fields, no).await?;
    let EmptyBody {} = Form::new(fields).body()?;
    let outcome = state.use_cases.cancel_reservation(no, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}

/// Cancel a reservation.
#[utoipa::path(post, path = "/reservations/{reservationNo}/cancel", operation_id = "cancelReservationByPost",
    tag = "reservations",
    params(Numbered::<ReservationNo>),
    responses(
        (status = 200, description = "Cancelled, or already cancelled.", body = ReservationResource),
        (status = 202, description = "Requested.", body = ReservationResource)))]
pub(super) async fn cancel_by_post(
    state: State<CommandState>,
    caller: Caller,
    number: Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    cancel(state, caller, number, fields).await
}
