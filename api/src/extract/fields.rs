//! A request's body as the fields of one JSON object, each still unread.
//!
//! A body that is too large is answered with 413, one whose header names no JSON with 415, one whose bytes
//! are no JSON with 400, one that comes too slowly with 408. An absent body is an empty object: most
//! actions need no field.

pub(crate) use super::json_object::Fields;

use super::json_object::parse;
use crate::problem::{Problem, kind};
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use std::time::Duration;

/// The most bytes of a body.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How long receiving a body may take.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The links of HAL: callers send back what they got, and the server ignores them.
pub(crate) const LINKS: &str = "_links";
/// A refused body is still read up to this size, so that the sender gets to see the answer.
const MAX_DRAINED: usize = 1024 * 1024;
/// The media types that a body may have.
const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/hal+json", "application/merge-patch+json"];
/// Editors on Windows put this before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let reading = tokio::time::timeout(READ_TIMEOUT, receive(body));
        let bytes = reading.await.map_err(|_| Problem::new(&kind::REQUEST_TIMEOUT))??;
        check_encoding(&parts.headers)?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        check_media_type(&parts.headers)?;
        let Self(mut fields) = parse(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes))?;
        fields.retain(|(name, _)| name != LINKS);
        Ok(Self(fields))
    }
}

/// Receives the whole body. A body in one piece, as it is when it was received before, is not copied.
pub(crate) async fn receive(mut body: Body) -> Result<Bytes, Problem> {
    let (mut first, mut kept) = (Bytes::new(), BytesMut::new());
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(&kind::MALFORMED_JSON).with_cause(format!("reading the body: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let is_first = length == 0;
        length = length.saturating_add(data.len());
        if length > MAX_DRAINED {
            break;
        }
        if is_first {
            first = data;
        } else if length <= MAX_BODY {
            if kept.is_empty() {
                kept.extend_from_slice(&first);
            }
            kept.extend_from_slice(&data);
        }
    }
    match (length > MAX_BODY, kept.is_empty()) {
        (true, _) => Err(Problem::new(&kind::BODY_TOO_LARGE)),
        (false, true) => Ok(first),
        (false, false) => Ok(kept.freeze()),
    }
}

/// Refuses compressed bodies: a small one could unpack to a large one.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    if codings.all(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let identity = HeaderValue::from_static("identity");
    Err(Problem::new(&kind::UNSUPPORTED_ENCODING).with_header("accept-encoding", identity))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = sent.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if MEDIA_TYPES.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted)) {
        return Ok(());
    }
    let accept = HeaderValue::from_static("application/json");
    Err(Problem::new(&kind::UNSUPPORTED_MEDIA_TYPE)
        .with_header("accept-post", accept.clone())
        .with_header("accept-patch", accept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn body_in_one_piece_is_not_copied() {
        let sent = Bytes::from(vec![b' '; 1_000]);
        let received = receive(Body::from(sent.clone())).await.unwrap();
        let received_again = receive(Body::from(received.clone())).await.unwrap();
        assert_eq!((received.as_ptr(), received_again.as_ptr()), (sent.as_ptr(), sent.as_ptr()));
        let pieces = ["a", "", "b", "c"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let pieces = Body::from_stream(futures::stream::iter(pieces));
        assert_eq!(receive(pieces).await.unwrap(), "abc");
    }
}
