//! The routes that only the other services of a split market use. Each demands a service token; a process without keys
//! for these tokens has none of the routes. They are no part of the OpenAPI document.

mod log;
mod remaining_time;
mod service_caller;

use axum::Router;
use axum::routing::get;
use chrono::{DateTime, Utc};
use gdmarket_domain::Services;
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
    pub(crate) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

/// All internal routes.
pub(crate) fn router(state: InternalState) -> Router {
    Router::new().route("/internal/log", get(log::page)).with_state(state)
}
