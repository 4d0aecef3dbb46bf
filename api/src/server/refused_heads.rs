//! Answers to heads that can't be read as HTTP/1.1. hyper sends them itself, before a request exists, and
//! offers no way to add headers; so the socket adds them. On HTTP/2 that isn't possible.

use super::counts::count_unrouted;
use crate::problem::harden;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";
/// The first bytes of hyper's answer to a client error.
const BEGINS: &[u8] = b"HTTP/1.1 4";
/// A header that every answer of a route has.
const HARDENED: &[u8] = b"x-content-type-options";

/// hyper's own answer with the headers of every answer; `None` for any other bytes.
pub(super) fn with_headers_of_every_answer(bytes: &[u8]) -> Option<Bytes> {
    let head = bytes.strip_suffix(END).filter(|head| head.starts_with(BEGINS))?;
    if head.windows(HARDENED.len()).any(|part| part.eq_ignore_ascii_case(HARDENED)) {
        return None;
    }
    let status = head.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok())?;
    // The method isn't known.
    count_unrouted(None, status);
    let mut headers = HeaderMap::new();
    harden(&mut headers);
    let mut answer = head.to_vec();
    for (name, value) in &headers {
        answer.extend_from_slice(b"\r\n");
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
    }
    answer.extend_from_slice(END);
    Some(answer.into())
}
