//! Counts every request that is answered: by its route, never by its path, since callers can invent paths.
//! A request that is refused before a route is chosen has the route `none`.

use crate::method_name::method_name;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// The route of a request, once one is chosen: it is in the request's extensions.
#[derive(Debug, Clone, Default)]
pub(super) struct Route(Arc<OnceLock<(MatchedPath, Instant)>>);

impl Route {
    /// Counts the answer, and how long the route took for it.
    pub(super) fn count(&self, method: &Method, status: StatusCode) {
        let Some((path, since)) = self.0.get() else { return count_unrouted(Some(method), status) };
        let labels = labels(Some(method), path.as_str(), status);
        metrics::counter!("gdmarket_http_requests_total", &labels).increment(1);
        metrics::histogram!("gdmarket_http_request_duration_seconds", &labels)
            .record(since.elapsed().as_secs_f64());
    }
}

/// Counts an answer that no route gave.
pub(super) fn count_unrouted(method: Option<&Method>, status: StatusCode) {
    let labels = labels(method, "none", status);
    metrics::counter!("gdmarket_http_requests_total", &labels).increment(1);
}

fn labels(method: Option<&Method>, route: &str, status: StatusCode) -> [(&'static str, String); 3] {
    let method = method.and_then(method_name).unwrap_or("other");
    [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_u16().to_string()),
    ]
}

/// Records which route a request has reached.
pub(super) async fn note_route(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(route), Some(path)) = (extensions.get::<Route>(), extensions.get::<MatchedPath>())
    {
        // A request reaches one route.
        drop(route.0.set((path.clone(), Instant::now())));
    }
    next.run(request).await
}
