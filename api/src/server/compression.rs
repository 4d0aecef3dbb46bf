//! Compressed answers for callers that accept them.
//!
//! Other callers' answers don't go through this: wrapping a body costs an allocation per answer.

use super::every_request;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt as _;
use http::{HeaderValue, header};
use std::convert::Infallible;
use tower::ServiceExt as _;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _, SizeAbove};
use tower_http::compression::{Compression, CompressionLevel};

/// Answers up to this size are sent as they are.
const SMALL: u16 = 1024;

/// Sends every request to `answer`, and compresses what is large where the request accepts it. A stream
/// of events is never compressed: every event must be seen at once.
pub(super) fn where_asked_for<F: Future<Output = Response> + Send + 'static>(
    answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
) -> Router {
    every_request(move |request| {
        let answer = answer.clone();
        async move {
            if request.headers().contains_key(header::ACCEPT_ENCODING) {
                Box::pin(compressed(answer, request)).await
            } else {
                answer(request).await
            }
        }
    })
}

async fn compressed<F: Future<Output = Response> + Send + 'static>(
    answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
    request: Request,
) -> Response {
    let service = tower::service_fn(move |request| answer(request).map(Ok::<_, Infallible>));
    let large = DefaultPredicate::new().and(SizeAbove::new(SMALL));
    let compression =
        Compression::new(service).quality(CompressionLevel::Fastest).compress_when(large);
    let Ok(response) = compression.oneshot(request).await;
    weakened(response.map(Body::new))
}

/// The tag of an answer names the bytes before they were compressed: it is a weak one.
fn weakened(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip") {
        let etag = headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.filter(|etag| etag.starts_with('"')).map(|etag| format!("W/{etag}"));
        if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(header::ETAG, etag);
        }
    }
    response
}
