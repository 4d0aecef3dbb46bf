//! The door of a server that is still starting. The port is taken first, and a view that was never built
//! is made before it is read, which takes a while on a long log: meanwhile `/livez` and `/readyz` tell
//! how it is, and whoever asks for anything else waits for the answer.

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

/// How long anybody waits at the door: longer than most builds, shorter than callers stay.
const WAITS_FOR: Duration = Duration::from_secs(30);

/// When to come back.
const AGAIN: Duration = Duration::from_secs(1);

/// The routes of a server, once there are any.
#[derive(Debug, Clone)]
pub struct Door(watch::Receiver<Option<Router>>);

/// Opens the door.
#[derive(Debug)]
pub struct Opener(watch::Sender<Option<Router>>);

impl Door {
    /// A door that is shut, and what opens it.
    pub fn shut() -> (Opener, Self) {
        let (opener, door) = watch::channel(None);
        (Opener(opener), Self(door))
    }

    /// A door that is open.
    pub fn open(routes: Router) -> Self {
        // Nobody needs to wait for a change.
        Self(watch::channel(Some(routes)).1)
    }

    /// What a connection that comes now is answered by.
    pub(super) fn routes(&self) -> Router {
        let opened = self.0.borrow().clone();
        opened.unwrap_or_else(|| {
            let door = self.clone();
            every_request(move |request| door.clone().hardened(request))
        })
    }

    async fn answer(mut self, request: Request) -> Response {
        // Behind the door the passage does it, for all routes.
        let context = RequestContext::of(&request);
        let method = request.method().clone();
        let starting = || {
            count_unrouted(Some(&method), StatusCode::SERVICE_UNAVAILABLE);
            let (en, ko) = ("This server is still starting.", "이 서버는 아직 시작하는 중이에요.");
            Problem::new(&kind::UNAVAILABLE).with_detail(en, ko).retry_after(AGAIN).render(&context)
        };
        if self.0.borrow().is_none() {
            match request.uri().path() {
                "/livez" => return Json(json!({"status": "live"})).into_response(),
                "/readyz" => return starting(),
                _ => {}
            }
        }
        let routes = match timeout(WAITS_FOR, self.0.wait_for(Option::is_some)).await {
            Ok(Ok(opened)) => opened.clone(),
            // It ends without having started, or takes too long.
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

impl Opener {
    /// From now on these routes answer, also those who wait.
    pub fn open(&self, routes: Router) {
        self.0.send_replace(Some(routes));
    }
}
