//! Content negotiation: HAL or plain JSON, by the `Accept` header.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use std::cmp::Ordering;
use std::convert::Infallible;

pub(super) const JSON: &str = "application/json";
pub(super) const HAL_JSON: &str = "application/hal+json";

/// The media type that a member is shown as; its bytes are the same. HAL is for callers that name it and
/// don't prefer plain JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemberType(pub(super) &'static str);

impl<S: Send + Sync> FromRequestParts<S> for MemberType {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let Preferences { hal, plain } = Preferences::of(&parts.headers);
        let is_hal = hal.range == Some(Range::Type) && !plain.is_preferred_to(&hal);
        Ok(Self(if is_hal && hal.quality > 0.0 { HAL_JSON } else { JSON }))
    }
}

/// Whether a collection is shown as plain JSON: to callers that prefer it to HAL. Callers that accept
/// anything get HAL.
pub(super) fn prefers_plain(headers: &HeaderMap) -> bool {
    let Preferences { hal, plain } = Preferences::of(headers);
    plain.is_preferred_to(&hal)
}

/// What a caller accepts of both forms.
#[derive(Debug, Default)]
struct Preferences {
    hal: Preference,
    plain: Preference,
}

impl Preferences {
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = lines.flat_map(|line| line.split(','));
        let Self { mut hal, mut plain } = Self::default();
        for (place, range) in ranges.enumerate() {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(quality).unwrap_or(1.0);
            match name.as_str() {
                JSON => plain.take(Range::Type, quality, place),
                HAL_JSON => hal.take(Range::Type, quality, place),
                "application/*" | "*/*" => {
                    let range = if name == "*/*" { Range::Anything } else { Range::Application };
                    plain.take(range, quality, place);
                    hal.take(range, quality, place);
                }
                _ => {}
            }
        }
        Self { hal, plain }
    }
}

/// How narrow a media range is; the narrowest that matches a form decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Range {
    Anything,
    Application,
    Type,
}

/// What a caller says about one form.
#[derive(Debug, Default)]
struct Preference {
    /// The narrowest range that matches; `None` if none does.
    range: Option<Range>,
    quality: f32,
    place: usize,
}

impl Preference {
    fn take(&mut self, range: Range, quality: f32, place: usize) {
        if self.range.is_none_or(|known| known < range) {
            *self = Self { range: Some(range), quality, place };
        }
    }

    /// The higher quality wins, then the form that is named first.
    fn is_preferred_to(&self, other: &Self) -> bool {
        match self.quality.total_cmp(&other.quality) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if self.quality == 0.0 => other.range.is_some() && self.range.is_none(),
            Ordering::Equal => self.place < other.place,
        }
    }
}

/// The quality in a parameter `q=…`; `None` if it isn't one.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let quality = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
    name.trim().eq_ignore_ascii_case("q").then_some(quality).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_json_is_for_callers_that_prefer_it() {
        for (accept, is_plain) in [
            ("*/*", false),
            ("application/json", true),
            ("application/json, */*;q=0.5", true),
            ("application/hal+json, application/json", false),
            ("text/html, */*;q=0.8", false),
            ("application/json;q=0, application/hal+json", false),
            ("application/json;q=0, */*", false),
            ("application/json;q=0.1, application/hal+json;q=0.9", false),
            ("application/hal+json;q=0.1, application/json", true),
            ("application/hal+json;q=0", true),
            ("application/hal+json; Q=0, */*", true),
            ("*/*, application/hal+json;q=0.5", true),
            ("application/*, application/json", false),
            ("application/json;q=x", true),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(prefers_plain(&headers), is_plain, "{accept}");
        }
        assert!(!prefers_plain(&HeaderMap::new()));
    }
}
