//! Holds requests back while a server starts. The port is taken first, and a view that was never built is
//! built before it is read, which takes a while on a long log: meanwhile `/livez` and `/readyz` report the
//! state, and every other request waits until the routes exist.

use super::counts::count_unrouted;
use super::every_request;
use crate::problem::context::RequestContext;
use crate::problem::{Problem, harden, kind};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tower::ServiceExt as _;

/// How long a request waits for the routes: longer than most builds, shorter than callers stay.
const ROUTES_WAIT: Duration = Duration::from_secs(30);

/// `Retry-After` of a server that is still starting.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The routes of a server, once there are any.
#[derive(Debug, Clone)]
pub struct StartupGate(watch::Receiver<Option<Router>>);

/// Opens a [`StartupGate`].
#[derive(Debug)]
pub struct StartupGateOpener(watch::Sender<Option<Router>>);

impl StartupGate {
    /// A closed gate, and what opens it.
    pub fn closed() -> (StartupGateOpener, Self) {
        let (opener, gate) = watch::channel(None);
        (StartupGateOpener(opener), Self(gate))
    }

    /// An open gate.
    pub fn opened(routes: Router) -> Self {
        // An open gate never changes.
        Self(watch::channel(Some(routes)).1)
    }

    /// The routes that answer a new connection.
    pub(super) fn routes(&self) -> Router {
        let opened = self.0.borrow().clone();
        opened.unwrap_or_else(|| {
            let gate = self.clone();
            every_request(move |request| gate.clone().hardened(request))
        })
    }

    async fn answer(mut self, request: Request) -> Response {
        // Once the routes exist, the request pipeline makes the context.
        let context = RequestContext::of(&request);
        let method = request.method().clone();
        let starting = || {
            count_unrouted(Some(&method), StatusCode::SERVICE_UNAVAILABLE);
            let (en, ko) = ("This server is still starting.", "이 서버는 아직 시작하는 중이에요.");
            Problem::new(&kind::UNAVAILABLE)
                .with_detail(en, ko)
                .retry_after(RETRY_AFTER)
                .render(&context)
        };
        if self.0.borrow().is_none() {
            match request.uri().path() {
                "/livez" => return Json(json!({"status": "live"})).into_response(),
                "/readyz" => return starting(),
                _ => {}
            }
        }
        let routes = match timeout(ROUTES_WAIT, self.0.wait_for(Option::is_some)).await {
            Ok(Ok(opened)) => opened.clone(),
            // The server ended before it had started, or takes too long.
            Ok(Err(_)) | Err(_) => None,
        };
        match routes {
            Some(routes) => routes.oneshot(request).await.into_response(),
            None => starting(),
        }
    }

    async fn hardened(self, request: Request) -> Response {
        let mut response = self.answer(request).await;
        harden(response.headers_mut());
        response
    }
}

impl StartupGateOpener {
    /// Lets these routes answer from now on, also the requests that wait.
    pub fn open(&self, routes: Router) {
        self.0.send_replace(Some(routes));
    }
}
