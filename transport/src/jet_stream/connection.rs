//! The connection to NATS, which comes about and comes back by itself.

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The limit of a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The limit of a request to JetStream, and of an acknowledgement.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);
/// How often a silent connection is tried.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause before the next try to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The most publications without an acknowledgement.
const MAX_IN_FLIGHT: usize = 512;

/// Where NATS is, and as whom this process connects.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The addresses of its servers, separated by commas; they may hold a user and a password.
    pub url: SecretString,
    /// A file with credentials (a JWT and a seed), as `nsc` writes it.
    pub credentials_file: Option<PathBuf>,
    /// A file with the certificates that the servers' certificates may be signed by, in addition to those of the system.
    pub ca_file: Option<PathBuf>,
    /// The name under which the servers list this process.
    pub name: String,
}

/// Settings with which no connection can be tried.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NatsSetupError(String);

/// The connection to NATS; cheap to clone.
#[derive(Debug, Clone)]
pub struct NatsConnection {
    client: Client,
    context: Context,
}

impl NatsConnection {
    /// Begins to connect; servers that are away are tried for as long as this process runs.
    pub async fn open(options: &NatsOptions) -> Result<Self, NatsSetupError> {
        let addresses = options.url.expose_secret().split(',').map(str::trim);
        let addresses: Result<Vec<ServerAddr>, _> = addresses.map(str::parse).collect();
        let addresses =
            addresses.map_err(|_| NatsSetupError("it is no address of NATS".to_owned()))?;
        let mut connect = ConnectOptions::new()
            .name(&options.name)
            .connection_timeout(CONNECT_WITHIN)
            .request_timeout(Some(ANSWER_WITHIN))
            .ping_interval(PING_INTERVAL)
            .max_reconnects(None)
            .retry_on_initial_connect()
            .reconnect_delay_callback(reconnect_pause);
        connect = with_reports(connect);
        if let Some(file) = &options.credentials_file {
            let failed = |error| NatsSetupError(format!("{}: {error}", file.display()));
            connect = connect.credentials_file(file).await.map_err(failed)?;
        }
        if let Some(file) = &options.ca_file {
            connect = connect.add_root_certificates(file.clone());
        }
        report_connected(false);
        let client = connect.connect(addresses).await;
        let client = client.map_err(|error| NatsSetupError(error.to_string()))?;
        let context = ContextBuilder::new()
            .timeout(ANSWER_WITHIN)
            .ack_timeout(ANSWER_WITHIN)
            .max_ack_inflight(MAX_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Self { client, context })
    }

    /// Whether there is a connection. What is sent without one is sent later, by which time the sender has given it up.
    pub fn is_open(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    pub(super) const fn jet_stream(&self) -> &Context {
        &self.context
    }

    /// The most bytes of a message.
    pub(super) fn max_payload(&self) -> usize {
        self.client.max_payload()
    }
}

/// A random part of a bound that doubles, so that processes don't come back all at once.
fn reconnect_pause(attempt: usize) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    let doublings = u32::try_from(attempt.min(10)).unwrap_or(10);
    FIRST.saturating_mul(1 << doublings).min(LONGEST_PAUSE).mul_f64(rand::random())
}

/// One log line when the connection changes; a server that refuses every try is reported once.
fn with_reports(options: ConnectOptions) -> ConnectOptions {
    let is_reported = Arc::new(AtomicBool::new(false));
    options.event_callback(move |event| {
        report(&event, &is_reported);
        std::future::ready(())
    })
}

fn report(event: &Event, is_reported: &AtomicBool) {
    match event {
        Event::Connected => {
            is_reported.store(false, Ordering::Relaxed);
            report_connected(true);
            tracing::info!("connected to NATS");
        }
        Event::Disconnected => {
            report_connected(false);
            tracing::warn!("the connection to NATS ended; events of other services are polled");
        }
        other => report_problem(other, is_reported),
    }
}

fn report_problem(event: &Event, is_reported: &AtomicBool) {
    let is_failure = matches!(event, Event::ClientError(_) | Event::ServerError(_));
    if is_failure && !is_reported.swap(true, Ordering::Relaxed) {
        tracing::warn!(problem = %event, "NATS can't be used");
    } else {
        tracing::debug!(problem = %event, "NATS");
    }
}

fn report_connected(is_connected: bool) {
    metrics::gauge!("gdmarket_nats_connected").set(if is_connected { 1.0 } else { 0.0 });
}
