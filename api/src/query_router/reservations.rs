//! Reading reservations, their payments, and the story behind one.

use super::collection::{self, Asked, Hal, MemberType, Plain};
use super::{QueryState, member};
use crate::extract::caller::Reader;
use crate::extract::path::Numbered;
use crate::extract::query::Params;
use crate::problem::{Problem, kind};
use crate::resource::render;
use crate::resource::{PaymentResource, ReservationResource};
use crate::trace::{Trace, may_read};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use gdmarket_domain::{PaymentNo, ReservationNo};
use gdmarket_projections::{PaymentProgress, ReservationStatus};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

type Answer = Result<Response, Problem>;

/// The members of `/reservations` in HAL.
#[derive(Serialize, ToSchema)]
struct Reservations {
    reservations: Vec<ReservationResource>,
}

/// The members of `/payments` in HAL.
#[derive(Serialize, ToSchema)]
struct Payments {
    payments: Vec<PaymentResource>,
}

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(routes!(reservations))
        .routes(routes!(reservation))
        .routes(routes!(trace))
        .routes(routes!(payments))
        .routes(routes!(payment))
}

/// The reservations.
#[utoipa::path(get, path = "/reservations", operation_id = "listReservations",
    tag = "reservations",
    responses((status = 200, description = "A page.", content(
        (Hal<Reservations> = "application/hal+json"),
        (Plain<ReservationResource> = "application/json")))))]
async fn reservations(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    asked: Asked,
    mut params: Params,
) -> Answer {
    let (filter, page) = collection::read(&mut params, ReservationStatus::WORDS);
    state.catch_up(params).await?;
    let viewer = state.viewer(actor);
    let found = state.queries.reservations(&filter, page).await;
    let page = render::page(found, |row| render::reservation(row, &viewer))?;
    Ok(collection::answer(&asked, "reservations", page))
}

/// One reservation.
#[utoipa::path(get, path = "/reservations/{reservationNo}", operation_id = "getReservation",
    tag = "reservations",
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses((status = 200, description = "The reservation.", body = ReservationResource)))]
async fn reservation(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    Numbered(no): Numbered<ReservationNo>,
    shown_as: MemberType,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let viewer = state.viewer(actor);
    let found = state.queries.reservation(no).await;
    let found = render::one(found, |row| render::reservation(row, &viewer))?;
    Ok(member(found, &kind::RESERVATION_NOT_FOUND, shown_as))
}

/// The story of a reservation: what was asked, and all that followed, across every stream. For its
/// renter, the item's owner, and operators.
#[utoipa::path(get, path = "/reservations/{reservationNo}/trace", operation_id = "traceReservation",
    tag = "reservations",
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses((status = 200, description = "Its events as a tree of causes.", body = Trace)))]
async fn trace(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    Numbered(no): Numbered<ReservationNo>,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let found = state.queries.trace_reservation(no).await?;
    let found = found.ok_or_else(|| Problem::new(&kind::RESERVATION_NOT_FOUND))?;
    if !may_read(&actor, &found) {
        return Err(Problem::new(&kind::WRONG_ACTOR));
    }
    Ok(Json(Trace::of(no, found)).into_response())
}

/// The attempts to pay.
#[utoipa::path(get, path = "/payments", operation_id = "listPayments",
    tag = "payments",
    responses((status = 200, description = "A page.", content(
        (Hal<Payments> = "application/hal+json"), (Plain<PaymentResource> = "application/json")))))]
async fn payments(
    State(state): State<QueryState>,
    _: Reader,
    asked: Asked,
    mut params: Params,
) -> Answer {
    let (filter, page) = collection::read(&mut params, PaymentProgress::WORDS);
    state.catch_up(params).await?;
    let page = render::page(state.queries.payments(&filter, page).await, render::payment)?;
    Ok(collection::answer(&asked, "payments", page))
}

/// One attempt to pay.
#[utoipa::path(get, path = "/payments/{paymentNo}", operation_id = "getPayment",
    tag = "payments",
    params(("paymentNo" = i64, Path, description = "The attempt.")),
    responses((status = 200, description = "The attempt.", body = PaymentResource)))]
async fn payment(
    State(state): State<QueryState>,
    _: Reader,
    Numbered(no): Numbered<PaymentNo>,
    shown_as: MemberType,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let found = render::one(state.queries.payment(no).await, render::payment)?;
    Ok(member(found, &kind::PAYMENT_NOT_FOUND, shown_as))
}
