//! `/internal/payments/…`: the reservation service asks whether an attempt to pay would be started, starts one, and asks for
//! the outcome of one.

use super::InternalState;
use super::remaining_time::RemainingTime;
use super::service_caller::ServiceCaller;
use super::service_command::{ServiceBody, ServiceCommand};
use crate::extract::path::Numbered;
use crate::problem::Problem;
use crate::server::places;
use axum::Json;
use axum::extract::State;
use gdmarket_app::{AttemptAnswer, AttemptContent, AttemptRequest};
use gdmarket_domain::{PaymentNo, Service};
use http::StatusCode;

/// `GET /internal/payments/admission`: 204, or why no attempt would be started.
pub(super) async fn admission(
    State(state): State<InternalState>,
    caller: ServiceCaller,
    remaining: RemainingTime,
) -> Result<StatusCode, Problem> {
    caller.must_be(Service::Reservation)?;
    remaining.left_to_begin()?;
    state.use_cases.admit_attempt().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /internal/payments/{paymentNo}/attempt`: starts this attempt, or finds it started, and waits for its outcome.
pub(super) async fn attempt(
    State(state): State<InternalState>,
    caller: ServiceCaller,
    remaining: RemainingTime,
    Numbered(payment_no): Numbered<PaymentNo>,
    command: ServiceCommand<AttemptRequest>,
) -> Result<Json<AttemptAnswer>, Problem> {
    caller.must_be(Service::Reservation)?;
    let AttemptRequest { content, context } = &command.body;
    let (attempt, meta) = (content.numbered(payment_no), command.meta(context.clone())?);
    begin_waiting()?;
    let within = remaining.left_to_begin()?;
    Ok(Json(state.use_cases.attempt_payment(attempt, within, &meta).await?))
}

/// `POST /internal/payments/{paymentNo}/outcome`: waits for the outcome of this attempt, and starts nothing.
pub(super) async fn outcome(
    State(state): State<InternalState>,
    caller: ServiceCaller,
    remaining: RemainingTime,
    Numbered(payment_no): Numbered<PaymentNo>,
    ServiceBody(content): ServiceBody<AttemptContent>,
) -> Result<Json<AttemptAnswer>, Problem> {
    caller.must_be(Service::Reservation)?;
    begin_waiting()?;
    let within = remaining.left_to_begin()?;
    let attempt = content.numbered(payment_no);
    Ok(Json(state.use_cases.payment_outcome(attempt, within).await?))
}

/// A request that waits for the gateway is no work.
fn begin_waiting() -> Result<(), Problem> {
    if places::try_begin_waiting() { Ok(()) } else { Err(places::overloaded()) }
}
