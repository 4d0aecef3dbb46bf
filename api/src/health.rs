//! `/livez`: the process turns. `/readyz`: it may be sent requests.
//!
//! Lag, stuck projectors and outages of others are never unreadiness: one shared stall must not take
//! all replicas out of the gateway. They are figures and answers.

use crate::problem::{Problem, kind};
use crate::server::Shutdown;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, routing};
use serde_json::json;

/// The two health routes, once schema, database and views are seen to; see [`crate::server::StartupGate`].
pub(crate) fn router(shutdown: Shutdown) -> Router {
    Router::new()
        .route("/livez", routing::get(async || Json(json!({"status": "live"}))))
        .route("/readyz", routing::get(ready))
        .with_state(shutdown)
}

async fn ready(State(shutdown): State<Shutdown>) -> Response {
    if shutdown.is_draining() {
        return Problem::new(&kind::UNAVAILABLE)
            .with_detail("This server is about to end.", "이 서버는 곧 종료돼요.")
            .into_response();
    }
    Json(json!({"status": "ready"})).into_response()
}
