//! A NATS server with the stream of a log, for the tests of the feed and of the relay's target.

use crate::stub_owner::OwnedLog;
use async_nats::HeaderMap;
use async_nats::jetstream::stream::{Info, Stream};
use async_nats::jetstream::{self, Context};
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{Delivery, Identity, LogPage, RelayTarget as _};
use gdmarket_testkit::{NatsServer, eventually};
use gdmarket_transport::{JetStreamTarget, NatsConnection, NatsOptions, StreamOptions};
use std::time::Duration;
use uuid::Uuid;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const STREAM: &str = "GDMARKET_RESERVATION";

/// The events of an owner's log.
pub(crate) fn deliveries(log: &OwnedLog) -> Vec<Delivery> {
    let line = |event: &serde_json::Value| LogPage::parse_event_line(event.to_string().as_bytes());
    log.events.iter().map(|event| line(event).unwrap()).collect()
}

pub(crate) fn identity(log: &OwnedLog) -> Identity {
    Identity { log_id: Uuid::from_u128(log.log_id), epoch: log.epoch }
}

/// A connection, once there is one.
pub(crate) async fn connected(server: &NatsServer) -> NatsConnection {
    let nats = NatsConnection::open(&options(server)).await.unwrap();
    until_open(&nats).await;
    nats
}

pub(crate) fn options(server: &NatsServer) -> NatsOptions {
    NatsOptions {
        url: server.url().into(),
        credentials_file: None,
        ca_file: None,
        name: "test".to_owned(),
    }
}

pub(crate) async fn until_open(nats: &NatsConnection) {
    eventually(SOON, || async { if nats.is_open() { Ok(()) } else { Err("not connected") } }).await;
}

pub(crate) fn target(nats: &NatsConnection) -> JetStreamTarget {
    target_of(nats, &[Service::Reservation])
}

pub(crate) fn target_of(nats: &NatsConnection, services: &[Service]) -> JetStreamTarget {
    let options = StreamOptions {
        services: Services::of(services),
        max_age: Duration::from_hours(1),
        max_bytes: 64 * 1024 * 1024,
        replicas: 1,
    };
    JetStreamTarget::new(nats.clone(), options)
}

/// Publishes these events as the relay of their log does.
pub(crate) async fn publish(nats: &NatsConnection, log: Identity, events: &[Delivery]) {
    let target = target(nats);
    target.resume(log, i64::MAX).await.unwrap();
    target.publish(log, events).await.unwrap();
}

/// A client of the test's own, for what no relay does.
pub(crate) struct Forger(Context);

impl Forger {
    pub(crate) async fn new(server: &NatsServer) -> Self {
        Self(jetstream::new(async_nats::connect(server.url()).await.unwrap()))
    }

    pub(crate) async fn stream(&self) -> Stream {
        self.0.get_stream(STREAM).await.unwrap()
    }

    pub(crate) async fn info(&self) -> Info {
        self.stream().await.get_info().await.unwrap()
    }

    pub(crate) async fn delete_stream(&self) {
        self.0.delete_stream(STREAM).await.unwrap();
    }

    /// The positions of the stream's messages.
    pub(crate) async fn positions(&self) -> Vec<i64> {
        let stream = self.stream().await;
        let state = stream.cached_info().state.clone();
        let mut positions = vec![];
        if state.messages > 0 {
            for sequence in state.first_sequence..=state.last_sequence {
                let message = stream.get_raw_message(sequence).await.unwrap();
                let position = message.headers.get("Gdmarket-Position").unwrap();
                positions.push(position.as_str().parse().unwrap());
            }
        }
        positions
    }

    /// Publishes an event without a guard.
    pub(crate) async fn forge(&self, log: Identity, delivery: &Delivery) {
        let mut headers = HeaderMap::new();
        headers.insert("Gdmarket-Log", log.log_id.to_string().as_str());
        headers.insert("Gdmarket-Epoch", log.epoch.to_string().as_str());
        headers.insert("Gdmarket-Position", delivery.event.position.to_string().as_str());
        headers.insert("Gdmarket-Previous", delivery.previous.to_string().as_str());
        self.send(headers, LogPage::event_line(delivery)).await;
    }

    pub(crate) async fn send(&self, headers: HeaderMap, payload: String) {
        let subject = "gdmarket.reservation.reservation.1";
        let sent = self.0.publish_with_headers(subject, headers, payload.into()).await;
        sent.unwrap().await.unwrap();
    }
}
