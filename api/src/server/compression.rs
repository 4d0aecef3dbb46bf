//! Compressed answers for callers that accept them.
//!
//! Which coding an answer has is decided before its conditions are looked at, so that a 304 has the headers
//! that the 200 would have; the bytes are compressed when the answer is on its way out.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::Body as _;
use std::convert::Infallible;
use std::io::Write as _;

/// Answers below this size are sent as they are.
pub(crate) const SMALL: u64 = 1024;
/// The only coding that this server offers.
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// The coding that a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coding {
    is_gzip: bool,
}

/// Marks an answer whose bytes are still to be compressed.
#[derive(Debug, Clone, Copy)]
struct Uncompressed;

impl Coding {
    /// What `Accept-Encoding` asks for: gzip if it is acceptable and nothing else is preferred.
    pub(crate) fn requested(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
        let ranges = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        let (mut gzip, mut identity, mut any) = (None, None, None);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(quality).unwrap_or(1.0);
            match name.as_str() {
                "gzip" | "x-gzip" => gzip = Some(gzip.unwrap_or(0.0_f32).max(quality)),
                "identity" => identity = Some(quality),
                "*" => any = Some(quality),
                _ => {}
            }
        }
        let gzip = gzip.or(any).unwrap_or(0.0);
        Self { is_gzip: gzip > 0.0 && gzip >= identity.unwrap_or(0.0) }
    }

    pub(crate) const fn is_gzip(self) -> bool {
        self.is_gzip
    }

    /// Gives an answer the headers of its coding. Does nothing where that is done already.
    ///
    /// The tag of an answer names its bytes before they are compressed: compressed, it is a weak one.
    pub(super) fn mark(self, response: &mut Response) {
        if !may_be_compressed(response) {
            return;
        }
        vary_by_coding(response.headers_mut());
        if self.is_gzip {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_ENCODING, GZIP);
            headers.remove(header::CONTENT_LENGTH);
            weaken_tag(headers);
            response.extensions_mut().insert(Uncompressed);
        }
    }

    /// The answer with its bytes in its coding.
    pub(super) async fn apply(self, mut response: Response) -> Response {
        self.mark(&mut response);
        let is_to_be_compressed = response.extensions_mut().remove::<Uncompressed>().is_some();
        // The answers to HEAD and 304 have no bytes.
        if !is_to_be_compressed || response.body().is_end_stream() {
            return response;
        }
        let (head, body) = response.into_parts();
        // A body of known size is in memory: reading it doesn't fail.
        let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        Response::from_parts(head, Body::from(gzip(&bytes)))
    }
}

/// Whether an answer is large enough, and its bytes aren't compressed already. A stream of events is never
/// compressed: every event must be seen at once.
fn may_be_compressed(response: &Response) -> bool {
    let headers = response.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let is_stream_or_image =
        media_type.starts_with("text/event-stream") || media_type.starts_with("image/");
    let declared = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let size = declared.or_else(|| response.body().size_hint().exact()).unwrap_or(0);
    !is_stream_or_image && size >= SMALL && !headers.contains_key(header::CONTENT_ENCODING)
}

fn vary_by_coding(headers: &mut HeaderMap) {
    let lines = headers.get_all(header::VARY).iter().filter_map(|line| line.to_str().ok());
    let mut names = lines.flat_map(|line| line.split(',')).map(str::trim);
    if !names.any(|name| name.eq_ignore_ascii_case("accept-encoding")) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Makes the entity tag a weak one.
pub(crate) fn weaken_tag(headers: &mut HeaderMap) {
    let etag = headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
    let etag = etag.filter(|etag| etag.starts_with('"')).map(|etag| format!("W/{etag}"));
    if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
}

/// The bytes in the coding `gzip`.
pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec doesn't fail.
    let packed = packed.write_all(bytes).and_then(|()| packed.finish());
    packed.unwrap_or_default().into()
}

impl<S: Send + Sync> FromRequestParts<S> for Coding {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::requested(&parts.headers))
    }
}

/// The quality in a parameter `q=…`; one that can't be read counts as zero.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let quality = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
    name.trim().eq_ignore_ascii_case("q").then_some(quality.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_for_callers_that_prefer_it() {
        for (accepted, is_gzip) in [
            ("gzip", true),
            ("x-gzip", true),
            ("GZIP;q=0.5", true),
            ("br, gzip", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("gzip;q=0", false),
            ("gzip; q=0.4, identity; q=0.6", false),
            ("identity;q=0.5, gzip", true),
            ("identity", false),
            ("br", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            let headers =
                HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(Coding::requested(&headers).is_gzip(), is_gzip, "{accepted}");
        }
        assert!(!Coding::requested(&HeaderMap::new()).is_gzip());
    }
}
