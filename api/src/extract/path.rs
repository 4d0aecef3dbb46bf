//! Numbers in paths. What isn't a number of this kind is simply not there: 404, never 400.

use crate::problem::Problem;
use crate::problem::kind::{self, Kind};
use axum::extract::{FromRequestParts, RawPathParams};
use gdmarket_domain::{IdError, ItemNo, PaymentNo, ReservationNo};
use http::request::Parts;
use std::fmt;
use std::str::FromStr;

/// A kind of number that stands in paths.
pub(crate) trait PathNumber: FromStr + ToString + Send {
    /// The problem of a number that nothing has.
    const NOT_FOUND: &'static Kind;
}

impl PathNumber for ItemNo {
    const NOT_FOUND: &'static Kind = &kind::ITEM_NOT_FOUND;
}

impl PathNumber for ReservationNo {
    const NOT_FOUND: &'static Kind = &kind::RESERVATION_NOT_FOUND;
}

impl PathNumber for PaymentNo {
    const NOT_FOUND: &'static Kind = &kind::PAYMENT_NOT_FOUND;
}

/// The number in the path of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered<T>(pub(crate) T);

impl<S: Send + Sync, T: PathNumber> FromRequestParts<S> for Numbered<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let number = params.as_ref().and_then(|params| params.iter().next());
        // A number has one spelling: no other one is an address of the same thing.
        let is_encoded = parts.uri.path().contains('%');
        number
            .and_then(|(_, text)| text.parse().ok().filter(|number: &T| number.to_string() == text))
            .filter(|_| !is_encoded)
            .map(Self)
            .ok_or_else(|| Problem::new(T::NOT_FOUND))
    }
}

/// The number of an alarm: its item's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AlarmNumber(pub(crate) ItemNo);

impl fmt::Display for AlarmNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AlarmNumber {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

impl PathNumber for AlarmNumber {
    const NOT_FOUND: &'static Kind = &kind::ALARM_NOT_FOUND;
}
