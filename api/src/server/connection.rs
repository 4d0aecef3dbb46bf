//! One connection from its first byte to its end: HTTP/1.1, or HTTP/2 for clients that begin with it.

use super::activity::Activity;
use super::addresses::AddressUse;
use super::answer_body::AnswerBody;
use super::connection_watch::{Watch, count_cut};
use super::connections::Connection;
use super::counts;
use super::guard::is_for_monitors;
use super::phase::Phase;
use super::places;
use super::socket::Socket;
use super::streams::{Stream, StreamExecutor};
use crate::problem;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;
use tower::Service as _;

/// How long a client may take for its first request, and for the head of each.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The same for a connection that is reserved for monitors.
const SPARE_HEAD_WITHIN: Duration = Duration::from_secs(2);
/// The pause before first bytes that may begin either protocol are looked at again.
const PEEK_PAUSE: Duration = Duration::from_millis(10);
/// The first bytes of an HTTP/2 connection; no method of HTTP/1.1 begins with them.
const HTTP2_PREFACE: &[u8] = b"PRI";
/// The most headers of a request.
const MAX_HEADERS: usize = 100;
/// The most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;
/// The most bytes of a request's head on HTTP/2.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// The most requests of one connection on HTTP/2 at once.
const MAX_STREAMS: u32 = 64;
/// The most streams that a client may open and reset before they are looked at.
const MAX_RESETS: usize = 64;

/// The sender of a request; handlers find it in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: Arc<AddressUse>,
    pub(super) activity: Arc<Activity>,
}

/// Answers the requests of a connection until it ends.
pub(super) async fn serve_connection(
    stream: TcpStream,
    routes: Router,
    connection: Connection,
    mut phase: watch::Receiver<Phase>,
) {
    let head_within = if connection.is_spare { SPARE_HEAD_WITHIN } else { HEAD_WITHIN };
    let begins_with_http2 = tokio::select! {
        begins = begins_with_http2(&stream) => begins,
        () = sleep(head_within) => return count_cut("silent"),
        () = connection.activity.is_cut() => return,
        () = wait_for_draining(&mut phase) => return,
    };
    let Ok(is_http2) = begins_with_http2 else { return };
    let activity = Arc::clone(&connection.activity);
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&activity)));
    let peer = Peer { address: Arc::clone(&connection.address), activity: Arc::clone(&activity) };
    let is_spare = connection.is_spare;
    let service =
        service_fn(move |request| answer(request, routes.clone(), peer.clone(), is_spare));
    let timeouts = connection.timeouts;
    let watch = Watch { activity, phase, head_within, timeouts, is_http2 };
    if is_http2 {
        let serving = http2::Builder::new(StreamExecutor::new(timeouts.stalled_reader))
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .serve_connection(socket, service);
        watch.over(serving, http2::Connection::graceful_shutdown).await;
    } else {
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(socket, service);
        watch.over(serving, http1::Connection::graceful_shutdown).await;
    }
    drop(connection);
}

/// Waits until the server drains: it then takes no new request.
async fn wait_for_draining(phase: &mut watch::Receiver<Phase>) {
    // Without a sender the server has ended.
    drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
}

/// Looks at the first bytes without taking them.
async fn begins_with_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        let bytes = first.get(..seen).unwrap_or_default();
        if seen == 0 || !HTTP2_PREFACE.starts_with(bytes) {
            return Ok(false);
        }
        if bytes == HTTP2_PREFACE {
            return Ok(true);
        }
        sleep(PEEK_PAUSE).await;
    }
}

async fn answer(
    request: http::Request<Incoming>,
    mut routes: Router,
    peer: Peer,
    is_spare: bool,
) -> Result<http::Response<AnswerBody>, Infallible> {
    let is_http2 = request.version() == Version::HTTP_2;
    let answering = peer.activity.begin();
    let mut request = request.map(Body::new);
    if is_spare {
        // On HTTP/2 the client learns by a GOAWAY that this connection takes no more.
        peer.activity.end_after_answers();
    }
    let mut response = if is_spare && !is_for_monitors(request.uri().path()) {
        refuse(request).await
    } else {
        request.extensions_mut().insert(peer);
        let Ok(response) = routes.call(request).await;
        response
    };
    if is_spare && !is_http2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| AnswerBody::new(body, answering, Stream::current())))
}

/// The answer of a connection that is reserved for monitors to any other request.
async fn refuse(request: Request) -> Response {
    let method = request.method().clone();
    let overloaded = |_| async { places::overloaded().into_response() };
    let response = problem::answer(request, overloaded).await;
    counts::count_unrouted(Some(&method), response.status());
    response
}
