//! The server's own resources: links and metrics.

use super::QueryState;
use crate::problem::{Problem, kind};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(metrics))
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
