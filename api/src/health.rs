//! `/livez`: the process is alive. `/readyz`: it takes requests.
//!
//! Lag, parked streams and outages of other services never make a process unready: one shared outage must not take
//! all replicas out of the gateway. They are metrics and answers.

use crate::problem::{Problem, kind};
use crate::server::Shutdown;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The two health routes, once schema, database and views are ready; see [`crate::server::StartupGate`].
pub(crate) fn router(shutdown: Shutdown) -> OpenApiRouter {
    routes().with_state(shutdown)
}

/// The routes alone, for the OpenAPI document.
pub(crate) fn routes() -> OpenApiRouter<Shutdown> {
    OpenApiRouter::new().routes(routes!(livez)).routes(routes!(readyz))
}

#[utoipa::path(get, path = "/livez", tag = "server", summary = "The process is alive.",
    responses((status = 200, description = "Yes.", body = Object)))]
async fn livez() -> Json<Value> {
    Json(json!({"status": "live"}))
}

#[utoipa::path(get, path = "/readyz", tag = "server", summary = "It takes requests.",
    responses((status = 200, description = "Yes.", body = Object)))]
async fn readyz(State(shutdown): State<Shutdown>) -> Response {
    if shutdown.is_draining() {
        return Problem::new(&kind::UNAVAILABLE)
            .with_detail("This server is about to end.", "이 서버는 곧 종료돼요.")
            .into_response();
    }
    Json(json!({"status": "ready"})).into_response()
}
