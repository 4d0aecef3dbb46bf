//! The answer to a write: status, body, and headers that show what was done.

use super::{Answer, CommandState};
use crate::extract::caller::Caller;
use crate::problem::{Problem, REPLAYED};
use crate::representation::Representation;
use crate::resource::{FoundBody, ResourceBody, Versioned, render};
use axum::body::Body;
use axum::response::Response;
use gdmarket_app::{WriteDecision, WriteOutcome};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// The header with the token of a write.
pub(crate) const GDMARKET_AT: &str = "gdmarket-at";

/// The parts of an answer in addition to its body.
struct AnswerParts {
    status: StatusCode,
    location: String,
    /// The position of the last event that belongs to the request; 0 without one.
    position: i64,
    replayed: bool,
}

impl CommandState {
    /// The answer that shows the resource; `done` is the status of a completed request.
    pub(super) fn answer<B: ResourceBody>(
        &self,
        caller: &Caller,
        outcome: WriteOutcome<FoundBody<B>>,
        done: StatusCode,
    ) -> Answer {
        let WriteOutcome { decision, position, replayed } = outcome;
        let (found, status) =
            decided(decision, done).map_err(|problem| problem.replayed(replayed))?;
        let location = found.body.links().path().to_owned();
        let resource = render(found, &self.viewer(caller));
        Ok(self.response(&AnswerParts { status, location, position, replayed }, &resource))
    }

    fn response<T: Serialize>(&self, parts: &AnswerParts, found: &Versioned<T>) -> Response {
        let AnswerParts { status, location, position, replayed } = parts;
        let Representation { etag, json } = Representation::of(found);
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = *status;
        let headers = response.headers_mut();
        let mut put = |name: HeaderName, value: &str| {
            // Digits, a path and base64: always a header.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if matches!(*status, StatusCode::CREATED | StatusCode::ACCEPTED) {
            put(header::LOCATION, location);
        }
        put(header::CONTENT_TYPE, "application/json");
        put(header::ETAG, &etag);
        // A write without an event of its own is visible once everything in the log up to now is.
        let position = if *position > 0 { *position } else { self.use_cases.head() };
        put(HeaderName::from_static(GDMARKET_AT), &self.tokens.token(position));
        if *replayed {
            put(HeaderName::from_static(REPLAYED), "true");
        }
        response
    }
}

/// The resource and the status of the answer to a decision, or the problem of a refusal.
fn decided<R>(decision: WriteDecision<R>, done: StatusCode) -> Result<(R, StatusCode), Problem> {
    match decision {
        WriteDecision::Done(found) => Ok((found, done)),
        WriteDecision::Pending(found) => Ok((found, StatusCode::ACCEPTED)),
        WriteDecision::Refused(code) => Err(Problem::of_code(&code)),
    }
}
