//! The steps that every request passes, from the outermost: compression, counting, trace context and problem
//! bodies, panics, read conditions, the guard, the limits of size, number and time, a trailing slash.
//!
//! The pipeline is one future around the routes. A stack of middleware would copy itself and box its future for
//! each layer and request, which is a tenth of the cost of answering a command.

use super::compression::Coding;
use super::connection::Peer;
use super::counts::{Route, note_route};
use super::every_request;
use super::guard::{Guard, is_for_monitors};
use super::places::{Places, overloaded};
use super::read_conditions::ReadConditions;
use crate::extract::caller::{ACTOR, Anonymous};
use crate::extract::fields::{self, MAX_BODY, READ_TIMEOUT};
use crate::http_options::HttpOptions;
use crate::problem::{self, Problem, kind};
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use gdmarket_app::panic_message;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tower::Service as _;

/// A request with a larger declared length is refused before its body is read.
const MAX_DECLARED_LENGTH: u64 = 1024 * 1024;

/// All methods that addresses accept.
const ALL_METHODS: &str = "GET,HEAD,POST,PATCH,DELETE,OPTIONS";

/// Puts the request pipeline around the routes.
pub(crate) fn around(routes: Router, options: &HttpOptions, guard: Guard) -> Router {
    let (places, within) = (Arc::new(Places::new(options)), options.request_timeout);
    let pipeline = RequestPipeline {
        routes: routes.route_layer(middleware::from_fn(note_route)),
        admission: Arc::new(AdmissionControl { guard, places, within }),
    };
    every_request(move |request| pipeline.clone().answer(request))
}

/// The steps around the routes.
#[derive(Clone)]
struct RequestPipeline {
    routes: Router,
    admission: Arc<AdmissionControl>,
}

/// Which requests are admitted, how many at once, and for how long.
struct AdmissionControl {
    guard: Guard,
    places: Arc<Places>,
    within: Duration,
}

impl RequestPipeline {
    async fn answer(self, mut request: Request) -> Response {
        let (method, route) = (request.method().clone(), Route::default());
        request.extensions_mut().insert(route.clone());
        let coding = Coding::requested(request.headers());
        let caught = |request| async move {
            let answer = AssertUnwindSafe(self.conditional(request, coding)).catch_unwind().await;
            answer.unwrap_or_else(|panic| {
                Problem::internal(panic_message(panic.as_ref())).into_response()
            })
        };
        let response = problem::answer(request, caught).await;
        route.count(&method, response.status());
        coding.apply(response).await
    }

    /// Marks the coding first, since a 304 has the tag that the whole answer has in its coding.
    async fn conditional(self, request: Request, coding: Coding) -> Response {
        let conditions = ReadConditions::of(&request);
        let mut response = self.admit(request).await;
        coding.mark(&mut response);
        match conditions {
            Some(conditions) => conditions.apply(response),
            None => response,
        }
    }

    async fn admit(mut self, mut request: Request) -> Response {
        if let Err(problem) = self.admission.guard.check(&request) {
            return problem.into_response();
        }
        if request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return no_content(HeaderValue::from_static(ALL_METHODS));
        }
        if self.admission.guard.listens_beyond_loopback() && !request.headers().contains_key(ACTOR)
        {
            request.extensions_mut().insert(Anonymous);
        }
        if is_for_monitors(request.uri().path()) {
            return self.route(request).await;
        }
        if declared_length(request.headers()).is_some_and(|length| length > MAX_DECLARED_LENGTH) {
            return Problem::new(&kind::BODY_TOO_LARGE).into_response();
        }
        let admission = Arc::clone(&self.admission);
        let peer = request.extensions().get::<Peer>().cloned();
        let request = match admission.received(request, peer.as_ref()).await {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let Some(held) = admission.places.work(peer.map(|peer| peer.address), is_read) else {
            return overloaded().into_response();
        };
        tokio::time::timeout(admission.within, held.during(self.route(request)))
            .await
            .unwrap_or_else(|_| Problem::new(&kind::TIMED_OUT).into_response())
    }

    /// Changes the path before a route is chosen.
    async fn route(&mut self, request: Request) -> Response {
        let is_options = request.method() == Method::OPTIONS;
        let response = self.routes.call(without_trailing_slash(request)).await.into_response();
        if is_options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
            return options(response.headers().get(header::ALLOW));
        }
        response
    }
}

impl AdmissionControl {
    /// Receives the whole body first, so that a slow sender occupies no place for work.
    async fn received(&self, request: Request, peer: Option<&Peer>) -> Result<Request, Problem> {
        if request.body().is_end_stream() {
            return Ok(request);
        }
        let address = peer.map(|peer| &peer.address);
        let _place = self.places.reading.place(address).ok_or_else(overloaded)?;
        let _reading = peer.map(|peer| peer.activity.read_body());
        let (parts, body) = request.into_parts();
        let reading = tokio::time::timeout(READ_TIMEOUT, fields::receive(body));
        let bytes = reading.await.map_err(|_| Problem::new(&kind::REQUEST_TIMEOUT))??;
        Ok(Request::from_parts(parts, Body::from(bytes)))
    }
}

fn without_trailing_slash(mut request: Request) -> Request {
    let uri = request.uri();
    let path = uri.path();
    let Some(trimmed) = path.strip_suffix('/').filter(|trimmed| !trimmed.is_empty()) else {
        return request;
    };
    let path_and_query = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    if let Ok(uri) = Uri::try_from(path_and_query) {
        *request.uri_mut() = uri;
    }
    request
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    const { assert!(MAX_BODY < 1024 * 1024, "the limit of declared lengths is above that of bodies") };
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The answer to OPTIONS at an address that accepts these methods.
fn options(allow: Option<&HeaderValue>) -> Response {
    let methods = allow.and_then(|allow| allow.to_str().ok()).unwrap_or_default();
    let methods = HeaderValue::from_str(&format!("{methods},OPTIONS"));
    no_content(methods.unwrap_or(HeaderValue::from_static("OPTIONS")))
}

fn no_content(allow: HeaderValue) -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::fields::Fields;
    use axum::routing;
    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    async fn breaks() -> Response {
        panic!("on purpose")
    }

    async fn streams() -> Body {
        Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>())
    }

    async fn reads(fields: Result<Fields, Problem>) -> Response {
        fields.map_or_else(Problem::into_response, |_| "read".into_response())
    }

    fn router() -> Router {
        let options = HttpOptions::default();
        let listen = "127.0.0.1:8080".parse().unwrap();
        let routes = Router::new()
            .route("/breaks", routing::get(breaks))
            .route("/streams", routing::get(streams))
            .route("/reads", routing::get(reads));
        around(routes, &options, Guard::new(listen, &options))
    }

    /// The status and the problem's code.
    async fn ask(path: &str, body: Body) -> (u16, String) {
        let request = Request::builder().uri(path).header("host", "localhost");
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let answer = router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn panicking_handler_is_answered_with_a_problem_without_detail() {
        assert_eq!(ask("/breaks", Body::empty()).await, (500, "internal".to_owned()));
    }

    #[tokio::test]
    async fn endless_body_has_no_content_length_for_head() {
        let request = Request::head("/streams").header("host", "localhost");
        let answer = router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers().get(header::CONTENT_LENGTH), None);
    }

    #[tokio::test]
    async fn trailing_slash_is_ignored_and_the_query_kept() {
        assert_eq!(ask("/reads/?a=1", Body::empty()).await.0, 200);
        assert_eq!(ask("/reads//", Body::empty()).await, (404, "not-found".to_owned()));
    }

    #[tokio::test]
    async fn body_without_declared_length_is_measured() {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 16 * 1024]));
        let of =
            |chunks| Body::from_stream(futures::stream::iter((0..chunks).map(move |_| chunk())));
        assert_eq!(ask("/reads", of(5)).await, (413, "body-too-large".to_owned()));
        assert_eq!(ask("/reads", of(4)).await, (400, "malformed-json".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_never_ends_is_refused_in_time() {
        let endless =
            Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(ask("/reads", endless).await, (408, "request-timeout".to_owned()));
    }
}
