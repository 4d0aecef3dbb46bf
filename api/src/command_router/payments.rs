//! Paying, and taking payments back.

use super::bodies::EmptyBody;
use super::{Answer, CommandState};
use crate::extract::caller::Caller;
use crate::extract::fields::Fields;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::resource::ReservationResource;
use axum::extract::State;
use gdmarket_domain::ReservationNo;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(pay)).routes(routes!(cancel))
}

/// Pay a reservation.
///
/// 202 while the gateway's answer isn't known; what is charged is the reservation's `totalPrice`.
#[utoipa::path(post, path = "/reservations/{reservationNo}/payment", operation_id = "payReservation",
    tag = "payments",
    params(Numbered::<ReservationNo>),
    responses(
        (status = 200, description = "Paid, or already paid.", body = ReservationResource),
        (status = 202, description = "The outcome isn't known yet.", body = ReservationResource)))]
pub(super) async fn pay(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let context = state.reservation_context(&caller, &fields, no).await?;
    let EmptyBody {} = Form::new(fields).body()?;
    let outcome = state.use_cases.pay(no, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}

/// Take a payment back; the reservation stays.
///
/// 200 once it is in the log; the refund follows.
#[utoipa::path(post, path = "/reservations/{reservationNo}/payment/cancel", operation_id = "cancelPayment",
    tag = "payments",
    params(Numbered::<ReservationNo>),
    responses(
        (status = 200, description = "Taken back.", body = ReservationResource),
        (status = 202, description = "Requested.", body = ReservationResource)))]
pub(super) async fn cancel(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ReservationNo>,
    fields: Fields,
) -> Answer {
    let context = state.reservation_context(&caller, &fields, no).await?;
    let EmptyBody {} = Form::new(fields).body()?;
    let outcome = state.use_cases.cancel_payment(no, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}
