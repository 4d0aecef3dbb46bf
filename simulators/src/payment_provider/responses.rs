//! What the provider sends: JSON, or what a fault makes of it.

use super::behaviour::{PlannedCall, ProviderFault};
use super::payments::{PaymentAnswer, RefusedCall};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;
use std::io;

/// The body of an answer; an error ends the connection in the middle of it.
pub(super) type ProviderBody = UnsyncBoxBody<Bytes, io::Error>;

/// How many pieces a huge answer has, and how long each is: 64 MiB.
const HUGE_PIECES: usize = 1_024;
const HUGE_PIECE: Bytes = Bytes::from_static(&[b'a'; 64 * 1024]);

/// A connection that ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectionFault {
    /// It is closed.
    #[error("the connection is closed")]
    Drop,
    /// It is reset.
    #[error("the connection is reset")]
    Reset,
}

/// An answer of JSON.
pub(super) fn json_answer(status: u16, body: &impl Serialize) -> Response<ProviderBody> {
    let text = serde_json::to_vec(body).unwrap_or_default();
    answer(status, "application/json", whole(text))
}

/// An answer that says why nothing was done.
pub(super) fn refusal(refused: &RefusedCall) -> Response<ProviderBody> {
    let RefusedCall { status, code } = refused;
    json_answer(*status, &json!({"code": code, "message": format!("refused: {code}")}))
}

/// The answer of a payment operation after its effect, as its fault lets it through.
pub(super) fn payment_answer(
    call: PlannedCall,
    done: PaymentAnswer,
) -> Result<Response<ProviderBody>, ConnectionFault> {
    let done = match call.fault {
        ProviderFault::DropAfter => return Err(ConnectionFault::Drop),
        ProviderFault::ResetAfter => return Err(ConnectionFault::Reset),
        ProviderFault::ErrorAfter => return Ok(internal_error()),
        ProviderFault::NotJson => return Ok(page_for_people()),
        ProviderFault::Huge => return Ok(huge()),
        _ => done,
    };
    match done.map(|payment| payment.distorted(call)) {
        Ok(payment) if call.fault == ProviderFault::Truncated => Ok(truncated(&payment)),
        Ok(payment) => Ok(json_answer(200, &payment)),
        Err(refused) => Ok(refusal(&refused)),
    }
}

pub(super) fn internal_error() -> Response<ProviderBody> {
    refusal(&RefusedCall::new(500, "INTERNAL_ERROR"))
}

fn page_for_people() -> Response<ProviderBody> {
    let page = "<html><body>We are back in a few minutes.</body></html>";
    answer(200, "text/html", whole(page.as_bytes().to_vec()))
}

/// JSON that never ends its first string.
fn huge() -> Response<ProviderBody> {
    let head = stream::once(async { Bytes::from_static(b"{\"paymentId\":\"") });
    let pieces = head.chain(stream::repeat(HUGE_PIECE).take(HUGE_PIECES));
    answer(200, "application/json", streamed(pieces.map(Ok)))
}

/// The first half of the answer, and then the end of the connection.
fn truncated(body: &impl Serialize) -> Response<ProviderBody> {
    let mut text = serde_json::to_vec(body).unwrap_or_default();
    let length = HeaderValue::from(text.len());
    text.truncate(text.len() / 2);
    let half = stream::once(async { Ok(Bytes::from(text)) });
    let end = stream::once(async {
        // The half is sent while this waits for its next poll.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    let mut answer = answer(200, "application/json", streamed(half.chain(end)));
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    answer
}

fn answer(status: u16, content_type: &'static str, body: ProviderBody) -> Response<ProviderBody> {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn whole(text: Vec<u8>) -> ProviderBody {
    Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn streamed(
    pieces: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> ProviderBody {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}
