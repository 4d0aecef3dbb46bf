//! NATS: the connection of the process, and the stream that its log is copied to.

use super::StartError;
use crate::config::{Config, NatsConfig};
use gdmarket_projections::RelayTarget;
use gdmarket_transport::{JetStreamTarget, NatsConnection, NatsOptions, StreamOptions};
use std::sync::Arc;

const MIB: i64 = 1024 * 1024;

/// The connection to NATS, where it is configured. It comes about by itself, also if no server is there yet.
pub(super) async fn connection(config: &Config) -> Result<Option<NatsConnection>, StartError> {
    let NatsConfig { url, credentials_file, ca_file, .. } = &config.nats;
    let Some(url) = url else { return Ok(None) };
    let options = NatsOptions {
        url: url.0.clone(),
        credentials_file: credentials_file.clone(),
        ca_file: ca_file.clone(),
        name: format!("gdmarket {}", config.services.own),
    };
    let connection = NatsConnection::open(&options).await;
    connection.map(Some).map_err(|error| StartError::Settings(format!("nats: {error}")))
}

/// The stream of this process's log.
pub(super) fn relay_target(config: &Config, nats: NatsConnection) -> Arc<dyn RelayTarget> {
    let NatsConfig { keep_for, keep_mib, replicas, .. } = config.nats;
    Arc::new(JetStreamTarget::new(
        nats,
        StreamOptions {
            services: config.services.own,
            max_age: keep_for,
            max_bytes: keep_mib.saturating_mul(MIB),
            replicas,
        },
    ))
}
