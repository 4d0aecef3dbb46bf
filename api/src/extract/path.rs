//! Numbers in paths. A path with anything else than a number of its kind is answered with 404, never 400.

use super::values::integer;
use crate::problem::Problem;
use crate::problem::kind::{self, Kind};
use axum::extract::{FromRequestParts, RawPathParams};
use gdmarket_domain::ids::MAX_ID;
use gdmarket_domain::{IdError, ItemNo, PaymentNo, ReservationNo};
use http::request::Parts;
use std::fmt;
use std::str::FromStr;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

/// A kind of number that paths contain.
pub(crate) trait PathNumber: FromStr + ToString + Send {
    /// Its name in routes.
    const NAME: &'static str;
    /// Its description in the OpenAPI document.
    const DESCRIPTION: &'static str;
    /// The problem of a number that no resource has.
    const NOT_FOUND: &'static Kind;
}

impl PathNumber for ItemNo {
    const NAME: &'static str = "itemNo";
    const DESCRIPTION: &'static str = "The item.";
    const NOT_FOUND: &'static Kind = &kind::ITEM_NOT_FOUND;
}

impl PathNumber for ReservationNo {
    const NAME: &'static str = "reservationNo";
    const DESCRIPTION: &'static str = "The reservation.";
    const NOT_FOUND: &'static Kind = &kind::RESERVATION_NOT_FOUND;
}

impl PathNumber for PaymentNo {
    const NAME: &'static str = "paymentNo";
    const DESCRIPTION: &'static str = "The attempt.";
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
        // A number has one spelling, so that a resource has one address.
        let is_encoded = parts.uri.path().contains('%');
        number
            .and_then(|(_, text)| text.parse().ok().filter(|number: &T| number.to_string() == text))
            .filter(|_| !is_encoded)
            .map(Self)
            .ok_or_else(|| Problem::new(T::NOT_FOUND))
    }
}

impl<T: PathNumber> IntoParams for Numbered<T> {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = ParameterBuilder::new()
            .name(T::NAME)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(T::DESCRIPTION))
            .schema(Some(integer(MAX_ID)));
        vec![number.build()]
    }
}

/// The number of an alarm, which is the number of its item.
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
    const NAME: &'static str = "alarmNo";
    const DESCRIPTION: &'static str = "The alarm: its item's number.";
    const NOT_FOUND: &'static Kind = &kind::ALARM_NOT_FOUND;
}
