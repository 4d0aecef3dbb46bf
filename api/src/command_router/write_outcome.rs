//! The answer to a write: status, body, and the headers that say what was done.

use super::CommandState;
use crate::answers::NEWEST;
use crate::extract::caller::Caller;
use crate::problem::{Problem, REPLAYED, kind};
use crate::representation::Representation;
use crate::resource::{ItemResource, Versioned};
use axum::body::Body;
use axum::response::Response;
use gdmarket_commands::Executed;
use gdmarket_domain::{ItemEvent, ItemNo, PersonId, ReservationNo};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// The header with the token of what a write did.
pub(crate) const GDMARKET_AT: &str = "gdmarket-at";

/// What a write came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteOutcome {
    pub(super) status: StatusCode,
    /// The version that the body is of; [`NEWEST`] while the outcome isn't in.
    pub(super) version: i64,
    /// The position of the last event that belongs to it; 0 without one.
    pub(super) position: i64,
    pub(super) replayed: bool,
}

impl WriteOutcome {
    /// What a command alone came to.
    pub(super) const fn by(executed: &Executed, status: StatusCode) -> Self {
        let Executed { version, position, replayed, .. } = *executed;
        Self { status, version, position, replayed }
    }

    /// The outcome isn't in: the resource as it stands.
    pub(super) const fn pending(executed: &Executed) -> Self {
        let Executed { position, replayed, .. } = *executed;
        Self { status: StatusCode::ACCEPTED, version: NEWEST, position, replayed }
    }
}

impl CommandState {
    /// The answer that shows an item.
    pub(super) async fn show_item(
        &self,
        caller: &Caller,
        no: ItemNo,
        written: WriteOutcome,
    ) -> Result<Response, Problem> {
        let found = self.answers.item_at(no, written.version, &self.viewer(caller)).await;
        let found = found.map_err(Problem::after_a_write)?;
        self.answer_item(no, written, found)
    }

    /// The answer that shows an item that is new with this event.
    pub(super) fn show_new_item(
        &self,
        caller: &Caller,
        no: ItemNo,
        (event, written): (ItemEvent, WriteOutcome),
    ) -> Result<Response, Problem> {
        let found = self.answers.new_item(no, event, &self.viewer(caller))?;
        self.answer_item(no, written, found)
    }

    /// The answer to a repeated registration. An item that isn't the caller's own is shown to nobody here.
    pub(super) async fn show_registered_item(
        &self,
        caller: &Caller,
        no: ItemNo,
        (owner_id, written): (Option<PersonId>, WriteOutcome),
    ) -> Result<Response, Problem> {
        let found = self.answers.item_at(no, written.version, &self.viewer(caller)).await;
        let found = found.map_err(Problem::after_a_write)?;
        if found.as_ref().is_some_and(|item| item.body.owner_id != owner_id.map(PersonId::get)) {
            return Err(Problem::internal(format!("item {no} was registered for another owner")));
        }
        self.answer_item(no, written, found)
    }

    fn answer_item(
        &self,
        no: ItemNo,
        written: WriteOutcome,
        found: Option<Versioned<ItemResource>>,
    ) -> Result<Response, Problem> {
        let found = found.ok_or_else(|| Problem::new(&kind::ITEM_NOT_FOUND))?;
        Ok(self.answer(written, &format!("/items/{no}"), &found))
    }

    /// The answer to a request to reserve. A reservation that another person made is shown to nobody here, whatever
    /// led to its number.
    pub(super) async fn show_own_reservation(
        &self,
        caller: &Caller,
        no: ReservationNo,
        (renter_id, written): (PersonId, WriteOutcome),
    ) -> Result<Response, Problem> {
        let viewer = self.viewer(caller);
        let found = self.answers.reservation_at(no, written.version, &viewer).await;
        let found = found.map_err(Problem::after_a_write)?;
        let found = found.ok_or_else(|| Problem::new(&kind::RESERVATION_NOT_FOUND))?;
        if found.body.customer_id != renter_id.get() {
            return Err(Problem::internal(format!("reservation {no} is another customer's")));
        }
        Ok(self.answer(written, &format!("/reservations/{no}"), &found))
    }

    /// The answer that shows a reservation.
    pub(super) async fn show_reservation(
        &self,
        caller: &Caller,
        no: ReservationNo,
        written: WriteOutcome,
    ) -> Result<Response, Problem> {
        let viewer = self.viewer(caller);
        let found = self.answers.reservation_at(no, written.version, &viewer).await;
        let found = found.map_err(Problem::after_a_write)?;
        let found = found.ok_or_else(|| Problem::new(&kind::RESERVATION_NOT_FOUND))?;
        Ok(self.answer(written, &format!("/reservations/{no}"), &found))
    }

    fn answer<T: Serialize>(
        &self,
        written: WriteOutcome,
        location: &str,
        found: &Versioned<T>,
    ) -> Response {
        let Representation { etag, json } = Representation::of(found);
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = written.status;
        let headers = response.headers_mut();
        let mut put = |name: HeaderName, value: &str| {
            // Digits, a path and base64: always a header.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if matches!(written.status, StatusCode::CREATED | StatusCode::ACCEPTED) {
            put(header::LOCATION, location);
        }
        put(header::CONTENT_TYPE, "application/json");
        put(header::ETAG, &etag);
        // Without an event of its own a write is seen wherever all is seen that there is now.
        let position = if written.position > 0 { written.position } else { self.answers.head() };
        put(HeaderName::from_static(GDMARKET_AT), &self.answers.token(position));
        if written.replayed {
            put(HeaderName::from_static(REPLAYED), "true");
        }
        response
    }
}
