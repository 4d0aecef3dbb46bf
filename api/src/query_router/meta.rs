//! The server's own resources: links, capabilities, metrics.

use super::QueryState;
use crate::problem::{Problem, kind};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this server can do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capabilities {
    #[schema(value_type = String, example = "gdmarket")]
    pub(crate) name: &'static str,
    #[schema(value_type = String, example = "0.1.0")]
    pub(crate) version: &'static str,
    /// Where the log is: `sqlite` or `postgresql`.
    #[schema(value_type = String, example = "sqlite")]
    pub(crate) engine: &'static str,
    /// Whether callers log in; without it they say who they are.
    pub(crate) log_in: bool,
    /// Where the market's days begin and end.
    pub(crate) time_zone: String,
    #[schema(value_type = String, example = "KRW")]
    pub(crate) currency: &'static str,
    /// How long an idempotency key is remembered at least, in hours.
    pub(crate) idempotency_hours: u32,
    pub(crate) limits: Limits,
}

/// What a request may carry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) body_depth: usize,
    pub(crate) name_characters: usize,
    pub(crate) item_price: i64,
    pub(crate) period_days: i64,
    pub(crate) page_members: u32,
}

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(routes!(root))
        .routes(routes!(capabilities))
        .routes(routes!(metrics))
}

const LINKS: &[(&str, &str)] = &[
    ("self", "/"),
    ("items", "/items"),
    ("itemInfoes", "/itemInfoes"),
    ("reservations", "/reservations"),
    ("payments", "/payments"),
    ("alarms", "/alarms"),
    ("events", "/events"),
    ("openapi", "/openapi.json"),
    ("docs", "/docs"),
    ("errors", "/docs/errors"),
    ("capabilities", "/capabilities"),
    ("metrics", "/metrics"),
    ("livez", "/livez"),
    ("readyz", "/readyz"),
];

/// The links of the root.
#[derive(Debug, Serialize)]
pub(crate) struct RootLinks {
    #[serde(rename = "_links")]
    links: BTreeMap<&'static str, RootLink>,
}

#[derive(Debug, Serialize)]
struct RootLink {
    href: &'static str,
}

impl RootLinks {
    /// The links of a process without the routes of the absent services.
    pub(crate) fn without(absent: &BTreeSet<String>) -> Self {
        let served = LINKS.iter().filter(|(_, href)| !absent.contains(*href));
        Self { links: served.map(|(name, href)| (*name, RootLink { href })).collect() }
    }
}

/// Where everything is.
#[utoipa::path(get, path = "/", operation_id = "links",
    tag = "server",
    responses((status = 200, description = "Links.", body = Value,
        content_type = "application/hal+json")))]
async fn root(State(state): State<QueryState>) -> Response {
    let hal = HeaderValue::from_static("application/hal+json");
    ([(header::CONTENT_TYPE, hal)], json!(state.links).to_string()).into_response()
}

/// What this server can do.
#[utoipa::path(get, path = "/capabilities", operation_id = "capabilities",
    tag = "server",
    responses((status = 200, description = "Capabilities.", body = Capabilities)))]
async fn capabilities(State(state): State<QueryState>) -> Json<Arc<Capabilities>> {
    Json(state.capabilities)
}

/// Metrics in the format of Prometheus.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics",
    tag = "server",
    responses((status = 200, description = "Metrics.", body = String,
        content_type = "text/plain")))]
async fn metrics(State(state): State<QueryState>) -> Response {
    let Some(text) = (state.render_metrics)() else {
        return Problem::new(&kind::UNAVAILABLE).into_response();
    };
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
