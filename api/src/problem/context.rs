//! The context of one request: its trace, its language, and the address that it was sent to.

use super::kind::Language;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use std::borrow::Cow;
use uuid::Uuid;

/// The header of the W3C trace context.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The context of a request, made once, before all else; handlers find it in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// The trace: the caller's, or a new one.
    pub(crate) trace_id: u128,
    /// This server's own span in it.
    span_id: u64,
    flags: u8,
    /// The language that the caller reads.
    pub(crate) language: Language,
    /// The path as it was sent, shortened if it is very long.
    pub(crate) path: String,
    pub(crate) method: Method,
}

/// The most characters of a path that an answer repeats.
const SHOWN_PATH: usize = 1_000;

/// A text, or the beginning of one that is longer than so many characters.
pub(super) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most).and_then(|(end, _)| text.get(..end)) {
        Some(beginning) => Cow::Owned(format!("{beginning}…")),
        None => Cow::Borrowed(text),
    }
}

impl RequestContext {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        let (trace_id, flags) = caller_trace(headers).unwrap_or_else(|| (rand::random(), 1));
        Self {
            trace_id,
            span_id: rand::random(),
            flags,
            language: language(headers),
            path: shortened(request.uri().path(), SHOWN_PATH).into_owned(),
            method: request.method().clone(),
        }
    }

    /// The trace context that commands and the answer propagate.
    pub(crate) fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }

    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// An id that all events of this request share.
    pub(crate) fn correlation_id(&self) -> Uuid {
        Uuid::from_u128(self.trace_id ^ u128::from(self.span_id))
    }

    pub(super) fn traceparent_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.traceparent()).ok()
    }
}

/// The caller's trace id and flags; a malformed header counts as absent.
fn caller_trace(headers: &HeaderMap) -> Option<(u128, u8)> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?;
    let span_id = hex(parts.next()?, 16)?;
    let flags = hex(parts.next()?, 2)?;
    let is_known = version != 0xff && (version != 0 || parts.next().is_none());
    let is_valid = is_known && trace_id != 0 && span_id != 0;
    is_valid.then_some((trace_id, u8::try_from(flags).ok()?))
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_hex = text.len() == digits && text.bytes().all(lower_hex);
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// The one of Korean and English that `Accept-Language` prefers.
fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let mut best = (Language::English, 0.0_f32);
    for range in accepted.unwrap_or_default().split(',') {
        let mut parts = range.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        let language = match tag.split('-').next() {
            Some("ko") => Language::Korean,
            Some("en") => Language::English,
            _ => continue,
        };
        if let Some(quality) = quality.filter(|quality| *quality > best.1) {
            best = (language, quality);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn preferred_language_is_chosen() {
        for (accepted, expected) in [
            ("", Language::English),
            ("ko", Language::Korean),
            ("ko-KR,ko;q=0.9,en;q=0.8", Language::Korean),
            ("fr, ko;q=0.3", Language::Korean),
            ("en, ko;q=0.3", Language::English),
            ("ko;q=0", Language::English),
        ] {
            assert_eq!(language(&with("accept-language", accepted)), expected, "{accepted}");
        }
    }

    #[test]
    fn malformed_trace_counts_as_absent() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = caller_trace(&with(TRACEPARENT, good));
        assert_eq!(trace, Some((0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 1)));
        for bad in [
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "hello",
        ] {
            assert_eq!(caller_trace(&with(TRACEPARENT, bad)), None, "{bad}");
        }
    }
}
