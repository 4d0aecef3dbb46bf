//! The routes that only the other services of a split market use. Each demands a service token; a process without keys
//! for these tokens has none of the routes. They are no part of the OpenAPI document.

mod alarms;
mod log;
mod payments;
mod remaining_time;
mod service_caller;
mod service_command;
mod trace;

use axum::Router;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use gdmarket_app::UseCases;
use gdmarket_domain::{Service, Services};
use gdmarket_projections::Queries;
use gdmarket_service_token::TokenVerifier;
use std::sync::Arc;

/// What the internal routes answer from.
#[derive(Clone)]
pub(crate) struct InternalState {
    pub(crate) tokens: TokenVerifier,
    /// The services whose aggregates the log holds.
    pub(crate) services: Services,
    pub(crate) queries: Queries,
    pub(crate) use_cases: UseCases,
    pub(crate) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

/// The internal routes of the services of this process.
pub(crate) fn router(state: InternalState) -> Router {
    let mut routes = Router::new()
        .route("/internal/log", get(log::page))
        .route("/internal/trace", get(trace::part));
    if state.services.contains(Service::Alarm) {
        routes = routes.route("/internal/alarms/{itemNo}/raise", post(alarms::raise));
    }
    if state.services.contains(Service::Payment) {
        routes = routes
            .route("/internal/payments/admission", get(payments::admission))
            .route("/internal/payments/{paymentNo}/attempt", post(payments::attempt))
            .route("/internal/payments/{paymentNo}/outcome", post(payments::outcome));
    }
    routes.with_state(state)
}
