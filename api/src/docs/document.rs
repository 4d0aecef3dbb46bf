//! A file inside the program: it is hashed and compressed once, not for every request.

use super::hash;
use crate::server::compression::{Coding, SMALL, gzip, weaken_tag};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use std::sync::OnceLock;

/// For documents that change with the program: caches check each time whether theirs is current.
pub(super) const REVALIDATED: &str = "no-cache";
/// For the large files of swagger-ui, which change with the program only.
pub(super) const KEPT_FOR_AN_HOUR: &str = "public, max-age=3600";

#[derive(Debug)]
pub(super) struct Document {
    media_type: HeaderValue,
    cache_control: &'static str,
    etag: HeaderValue,
    bytes: Bytes,
    compressed: OnceLock<Bytes>,
}

impl Document {
    pub(super) fn new(media_type: &str, cache_control: &'static str, bytes: Bytes) -> Self {
        let etag = HeaderValue::try_from(format!("\"{}\"", hash(&bytes)));
        Self {
            media_type: HeaderValue::try_from(media_type)
                .unwrap_or(HeaderValue::from_static("application/octet-stream")),
            cache_control,
            // Hexadecimal digits are fit for a header.
            etag: etag.unwrap_or(HeaderValue::from_static("\"\"")),
            bytes,
            compressed: OnceLock::new(),
        }
    }

    fn is_worth_compressing(&self) -> bool {
        let is_large = u64::try_from(self.bytes.len()).is_ok_and(|size| size >= SMALL);
        is_large && !self.media_type.as_bytes().starts_with(b"image/")
    }

    /// The answer with the document in this coding.
    pub(super) fn answer(&self, coding: Coding) -> Response {
        let is_compressed = coding.is_gzip() && self.is_worth_compressing();
        let bytes = if is_compressed {
            self.compressed.get_or_init(|| gzip(&self.bytes))
        } else {
            &self.bytes
        };
        let mut response = Response::new(Body::from(bytes.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.media_type.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(header::ETAG, self.etag.clone());
        if is_compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            weaken_tag(headers);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn document_is_compressed_once() {
        let document = Document::new("application/json", REVALIDATED, vec![b' '; 5_000].into());
        let headers = http::HeaderMap::from_iter([(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("gzip"),
        )]);
        let mut places = vec![];
        for _ in 0..2 {
            let answer = document.answer(Coding::requested(&headers));
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(bytes.len() < 100);
            places.push(bytes.as_ptr());
        }
        assert_eq!(places[0], places[1], "the same bytes");
    }
}
