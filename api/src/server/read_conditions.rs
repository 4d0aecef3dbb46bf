//! `If-Match` and `If-None-Match` on a read: they are compared with the `ETag` of the answer.

use crate::extract::conditions::Tags;
use crate::problem::{Problem, kind};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, Method, StatusCode, header};

/// The conditions of a GET or HEAD.
#[derive(Debug)]
pub(super) struct ReadConditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

impl ReadConditions {
    /// The conditions of a read; `None` if there are none. A value that can't be read is ignored, so
    /// that the caller gets the whole answer.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let is_conditional =
            headers.contains_key(header::IF_NONE_MATCH) || headers.contains_key(header::IF_MATCH);
        if !is_conditional || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let tags = |headers: &HeaderMap, name: HeaderName| Tags::of(headers, &name).ok().flatten();
        Some(Self {
            if_match: tags(headers, header::IF_MATCH),
            if_none_match: tags(headers, header::IF_NONE_MATCH),
        })
    }

    /// The answer, or 412 or 304 instead of it.
    pub(super) fn apply(&self, mut response: Response) -> Response {
        let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let (Some(etag), StatusCode::OK) = (etag, response.status()) else { return response };
        if self.if_match.as_ref().is_some_and(|tags| !tags.match_version_of(etag)) {
            let problem = Problem::new(&kind::STALE_VERSION);
            return match response.headers().get(header::ETAG) {
                Some(etag) => problem.with_header("etag", etag.clone()).into_response(),
                None => problem.into_response(),
            };
        }
        if self.if_none_match.as_ref().is_some_and(|tags| tags.name(etag)) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().remove(header::CONTENT_ENCODING);
        }
        response
    }
}
