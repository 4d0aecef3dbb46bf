//! The HTTP server: its own accept loop, the request pipeline, and an end in two stages.
//!
//! When shutdown is requested it becomes unready, serves on for the drain delay, stops accepting, answers the
//! complete requests, and closes. A second request ends it at once.

mod activity;
pub(crate) mod addresses;
mod answer_body;
pub(crate) mod compression;
pub(crate) mod connection;
mod connection_watch;
mod connections;
mod counts;
mod files;
pub(crate) mod guard;
mod phase;
pub(crate) mod places;
mod read_conditions;
mod refused_heads;
pub(crate) mod request_pipeline;
mod shutdown;
mod socket;
mod startup_gate;
mod streams;

pub use shutdown::{Shutdown, Stage};
pub use startup_gate::{StartupGate, StartupGateOpener};

use crate::http_options::HttpOptions;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use connection::serve_connection;
use connections::Connections;
use futures::FutureExt as _;
use gdmarket_projections::LogLimit;
use phase::Phase;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// How long accepting pauses when the system gives no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long connections that are cut take to be gone.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// Lines about connections that the system didn't give.
static NOT_ACCEPTED: LogLimit = LogLimit::new(1, Duration::from_mins(1));

/// Serves the routes behind the gate until shutdown is requested; returns whether that was in order: `false`
/// if it was requested to end at once.
pub async fn serve(
    listener: TcpListener,
    gate: StartupGate,
    options: &HttpOptions,
    mut shutdown: Shutdown,
) -> bool {
    let connections = Connections::new(options, files::raise_limit());
    let (phase, running) = (watch::Sender::new(Phase::Serving), TaskTracker::new());
    let stop = shutdown.clone().stopped_accepting(options.drain_delay);
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut stop => break,
        };
        if let Some(connection) = connections.open(peer.ip()) {
            send_at_once(&stream);
            running.spawn(serve_connection(stream, gate.routes(), connection, phase.subscribe()));
        }
    }
    drop(listener);
    phase.send_replace(Phase::Draining);
    running.close();
    tokio::select! {
        biased;
        () = shutdown.reached(Stage::Now) => false,
        () = running.wait() => true,
        () = sleep(options.finish_within) => {
            cut(&phase, &running).await;
            true
        }
    }
}

/// The next connection. What the system can't give now it may give a little later.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                if let Some(left_out) = NOT_ACCEPTED.admit("accept") {
                    tracing::warn!(%error, left_out, "a connection can't be accepted");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn cut(phase: &watch::Sender<Phase>, running: &TaskTracker) {
    let connections = running.len();
    tracing::warn!(connections, "connections were cut: their clients took too long");
    phase.send_replace(Phase::Over);
    drop(timeout(CUT_WITHIN, running.wait()).await);
}

fn send_at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting TCP_NODELAY");
    }
}

/// Routes every request to one service. A handler would not do: the framework removes the body of a handler's
/// answer to HEAD before it sets the length.
fn every_request<F: Future<Output = Response> + Send + 'static>(
    answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
) -> Router {
    let answer = move |request| answer(request).map(Ok::<_, Infallible>);
    Router::new().fallback_service(tower::service_fn(answer))
}
