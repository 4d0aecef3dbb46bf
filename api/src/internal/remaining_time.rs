//! How long the caller of an internal route still waits. The header is relative, so that no clocks are compared.

use crate::extract::number::whole_number;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use crate::server::places;
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use std::time::Duration;
use tokio::time::Instant;

/// The caller's remaining time in milliseconds; the second name is the one that service meshes set.
const HEADERS: [&str; 2] = ["gdmarket-timeout-ms", "x-envoy-expected-rq-timeout-ms"];
/// The part of the caller's time that the way back may take.
const MARGIN: Duration = Duration::from_millis(10);
/// The limit of a caller that names none.
const OWN_LIMIT: Duration = Duration::from_secs(30);
/// The highest value that is read.
const MAX_MS: i64 = 3_600_000;

/// When the answer must be ready.
#[derive(Debug, Clone, Copy)]
pub(super) struct RemainingTime {
    received: Instant,
    within: Duration,
}

impl RemainingTime {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut within = OWN_LIMIT;
        for name in HEADERS {
            let given = milliseconds(headers, name).map_err(|fault| {
                let faults = vec![FieldFault::new(name, fault)];
                Problem::new(&kind::BAD_HEADER).with_errors(faults)
            })?;
            within = given.map_or(within, |given| within.min(given.saturating_sub(MARGIN)));
        }
        if within.is_zero() {
            let cause = "the caller had no time left";
            return Err(Problem::new(&kind::TIMED_OUT).with_cause(cause));
        }
        Ok(Self { received: Instant::now(), within })
    }

    /// The latest moment for the answer.
    pub(super) fn until(&self) -> Instant {
        self.received + self.within
    }

    /// The time that is left now, for work that writes. Without any the work is refused before it begins, and the
    /// problem says that nothing was done.
    pub(super) fn left_to_begin(&self) -> Result<Duration, Problem> {
        let left = self.until().saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(
                places::overloaded().with_cause("the caller's time was over before it began")
            );
        }
        Ok(left)
    }

    /// The moment at which half of the time is over: what waits before it works leaves time for the work.
    pub(super) fn half_of_it(&self) -> Instant {
        self.received + self.within / 2
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RemainingTime {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

fn milliseconds(headers: &HeaderMap, name: &str) -> Result<Option<Duration>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::Duplicate);
    }
    let ms = whole_number(value.to_str().unwrap_or_default(), 0, MAX_MS)?;
    Ok(Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Result<Duration, &'static str> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let remaining = RemainingTime::of(&headers.collect());
        remaining.map(|time| time.within).map_err(|problem| problem.code())
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_can_not_begin_in_time_is_refused_as_not_done() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(HEADERS[0]),
            "500".parse().unwrap(),
        )]);
        let remaining = RemainingTime::of(&headers).unwrap();
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(remaining.left_to_begin().unwrap(), Duration::from_millis(90));
        tokio::time::advance(Duration::from_millis(90)).await;
        assert_eq!(remaining.left_to_begin().unwrap_err().code(), "overloaded");
    }

    #[tokio::test]
    async fn shortest_limit_holds_less_a_margin() {
        let [own, mesh] = HEADERS;
        let ms = Duration::from_millis;
        assert_eq!(of(&[]), Ok(OWN_LIMIT));
        assert_eq!(of(&[(own, "500")]), Ok(ms(490)));
        assert_eq!(of(&[(own, "500"), (mesh, "200")]), Ok(ms(190)));
        assert_eq!(of(&[(mesh, "3600000")]), Ok(OWN_LIMIT));
        for spent in ["0", "10"] {
            assert_eq!(of(&[(own, spent)]), Err("timed-out"), "{spent}");
        }
        for bad in ["", "-1", "1.5", "1s", "99999999999"] {
            assert_eq!(of(&[(own, bad)]), Err("bad-header"), "{bad}");
        }
        assert_eq!(of(&[(own, "5"), (own, "6")]), Err("bad-header"));
    }
}
