//! The HTTP server: its own accept loop, the passage to the routes, and an end in two stages.
//!
//! Told to end it becomes unready, serves on for the drain delay, stops accepting, finishes what is
//! under way, and closes. Told twice it ends at once.

mod compression;
pub(crate) mod guard;
pub(crate) mod passage;
mod read_conditions;
mod shutdown;
mod starting;

pub use shutdown::{Shutdown, Stage};
pub use starting::{Door, Opener};

use crate::config;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long a client may take for the head of a request, and stay silent between two.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The most headers of a request.
const MAX_HEADERS: usize = 100;
/// The most bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;
/// How long accepting pauses when the system gives no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves what is behind the door until told to end; returns whether everything under way was finished.
pub async fn serve(
    listener: TcpListener,
    door: Door,
    options: &config::Server,
    mut shutdown: Shutdown,
) -> bool {
    let connections = GracefulShutdown::new();
    let stop = shutdown.clone().stopped_accepting(options.drain_delay);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => converse(stream, door.routes(), &connections),
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    tokio::select! {
        biased;
        () = shutdown.reached(Stage::Now) => false,
        () = connections.shutdown() => true,
        () = tokio::time::sleep(options.finish_within) => false,
    }
}

fn converse(stream: TcpStream, router: Router, connections: &GracefulShutdown) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting TCP_NODELAY");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke");
        }
    });
}

/// Sends every request the same way. As a service, not as a handler: of a handler's answer to HEAD the
/// framework tells the length when it has already taken the body away.
fn every_request<F: Future<Output = Response> + Send + 'static>(
    answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
) -> Router {
    let answer = move |request| answer(request).map(Ok::<_, Infallible>);
    Router::new().fallback_service(tower::service_fn(answer))
}
