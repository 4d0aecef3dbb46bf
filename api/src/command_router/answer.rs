//! The answer to a write: status, body, and the headers that say what was done.

use super::{Answer, CommandState};
use crate::extract::caller::Caller;
use crate::problem::{Problem, REPLAYED};
use crate::representation::Representation;
use crate::resource::{Versioned, render};
use axum::body::Body;
use axum::response::Response;
use gdmarket_app::{Decision, FoundItem, FoundReservation, WriteOutcome};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// The header with the token of what a write did.
pub(crate) const GDMARKET_AT: &str = "gdmarket-at";

/// What an answer shows besides its body.
struct Written {
    status: StatusCode,
    location: String,
    /// The position of the last event that belongs to the request; 0 without one.
    position: i64,
    replayed: bool,
}

impl CommandState {
    /// The answer that shows an item; `done` is the status of a request that is carried out.
    pub(super) fn item_answer(
        &self,
        caller: &Caller,
        outcome: WriteOutcome<FoundItem>,
        done: StatusCode,
    ) -> Answer {
        let WriteOutcome { decision, position, replayed } = outcome;
        let (found, status) =
            decided(decision, done).map_err(|problem| problem.replayed(replayed))?;
        let location = format!("/items/{}", found.number);
        let item = render::item(found, &self.viewer(caller));
        Ok(self.answer(&Written { status, location, position, replayed }, &item))
    }

    /// The answer that shows a reservation; `done` is the status of a request that is carried out.
    pub(super) fn reservation_answer(
        &self,
        caller: &Caller,
        outcome: WriteOutcome<FoundReservation>,
        done: StatusCode,
    ) -> Answer {
        let WriteOutcome { decision, position, replayed } = outcome;
        let (found, status) =
            decided(decision, done).map_err(|problem| problem.replayed(replayed))?;
        let location = format!("/reservations/{}", found.number);
        let reservation = render::reservation(found, &self.viewer(caller));
        Ok(self.answer(&Written { status, location, position, replayed }, &reservation))
    }

    fn answer<T: Serialize>(&self, written: &Written, found: &Versioned<T>) -> Response {
        let Written { status, location, position, replayed } = written;
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
        // Without an event of its own a write is visible wherever everything is that is in the log now.
        let position = if *position > 0 { *position } else { self.use_cases.head() };
        put(HeaderName::from_static(GDMARKET_AT), &self.tokens.token(position));
        if *replayed {
            put(HeaderName::from_static(REPLAYED), "true");
        }
        response
    }
}

/// The resource and the status that a decision is answered with, or the problem of a refusal.
fn decided<R>(decision: Decision<R>, done: StatusCode) -> Result<(R, StatusCode), Problem> {
    match decision {
        Decision::Done(found) => Ok((found, done)),
        Decision::Pending(found) => Ok((found, StatusCode::ACCEPTED)),
        Decision::Refused(code) => Err(Problem::of_code(&code)),
    }
}
