//! The stream that a log is copied to: the target of the relay.
//!
//! Each publication says which sequence of the stream it follows, so that the server refuses everything else: a second
//! relay, a repeated message, a message that was sent late by a connection that came back. What the stream has is read from
//! its last message.

use super::connection::NatsConnection;
use super::event_message::{MessageStamp, headers, payload};
use super::stream_subjects::{stream_name, subject, subjects_of};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, Stream};
use async_trait::async_trait;
use gdmarket_domain::Services;
use gdmarket_projections::{Delivery, Identity, RelayError, RelayTarget};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of a message in addition to its payload, its headers, with room to spare.
const HEADERS: usize = 4 * 1024;

/// How a stream is kept.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// The services whose events the log has.
    pub services: Services,
    /// How long a message is kept.
    pub max_age: Duration,
    /// How many bytes of messages are kept.
    pub max_bytes: i64,
    /// The number of servers that keep it.
    pub replicas: usize,
}

/// The stream of a log.
#[derive(Debug)]
pub struct JetStreamTarget {
    nats: NatsConnection,
    options: StreamOptions,
    name: String,
    /// The stream's sequence that the next publication follows.
    last_sequence: AtomicU64,
}

impl JetStreamTarget {
    /// The stream of the log with these services.
    pub fn new(nats: NatsConnection, options: StreamOptions) -> Self {
        let name = stream_name(options.services);
        Self { nats, options, name, last_sequence: AtomicU64::new(0) }
    }

    /// Without a connection the client would keep messages, and send them after the relay has given them up.
    fn require_connection(&self) -> Result<(), RelayError> {
        if self.nats.is_open() {
            return Ok(());
        }
        Err(RelayError::Unknown("there is no connection to NATS".to_owned()))
    }

    /// The stream, which is created where it is missing and brought to its settings.
    async fn stream(&self) -> Result<Stream, RelayError> {
        let context = self.nats.jet_stream();
        let wanted = self.config();
        let stream = context.get_or_create_stream(wanted.clone()).await;
        let stream = stream.map_err(|error| self.setup_error(&error.to_string()))?;
        let config = &stream.cached_info().config;
        let is_wanted = config.subjects == wanted.subjects
            && (config.max_age, config.max_bytes) == (wanted.max_age, wanted.max_bytes)
            && config.num_replicas == wanted.num_replicas;
        if is_wanted {
            return Ok(stream);
        }
        let updated = context.update_stream(&wanted).await;
        updated.map_err(|error| self.setup_error(&error.to_string()))?;
        tracing::info!(stream = self.name, "the stream has its new settings");
        Ok(stream)
    }

    fn config(&self) -> Config {
        let StreamOptions { services, max_age, max_bytes, replicas } = self.options;
        Config {
            name: self.name.clone(),
            subjects: services.iter().map(subjects_of).collect(),
            max_age,
            max_bytes,
            num_replicas: replicas,
            // The log has everything: old messages make room.
            discard: DiscardPolicy::Old,
            ..Config::default()
        }
    }

    fn setup_error(&self, error: &str) -> RelayError {
        let name = &self.name;
        if error.contains("overlap") {
            return RelayError::Refused(format!(
                "the stream {name} can't have its subjects, since another stream has them: another \
                 process runs one of these services, or did; delete that stream if it doesn't"
            ));
        }
        RelayError::Unknown(format!("the stream {name} isn't there: {error}"))
    }

    /// The position of the stream's last message, if it is one of this log; `None` if the stream has to be emptied.
    async fn last_position(
        &self,
        stream: &Stream,
        source: Identity,
        head: i64,
    ) -> Result<Option<i64>, RelayError> {
        let sequence = self.last_sequence.load(Ordering::Relaxed);
        let last = match stream.get_raw_message(sequence).await {
            Ok(message) => MessageStamp::of(&message.headers),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(unknown(&error)),
        };
        match last {
            Some(MessageStamp { log, position, .. }) if log == source => {
                Ok(Some(position).filter(|position| *position <= head))
            }
            Some(MessageStamp { log, .. }) if log.log_id != source.log_id => {
                Err(RelayError::Refused(format!(
                    "the stream {} has events of log {}, and this process has log {}: give each \
                     market an account of NATS of its own, or delete the stream if its log is gone",
                    self.name, log.log_id, source.log_id
                )))
            }
            Some(MessageStamp { log, .. }) if log.epoch > source.epoch => {
                Err(RelayError::Refused(format!(
                    "the stream {} has events of epoch {} of this log, and this process has epoch \
                     {}: its database is an older copy",
                    self.name, log.epoch, source.epoch
                )))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Deletes all messages; the sequence continues.
    async fn empty(&self, stream: &Stream) -> Result<(), RelayError> {
        tracing::warn!(
            stream = self.name,
            "the last message of the stream is none of this log as it is now: the stream is filled again"
        );
        stream.purge().await.map_err(|error| unknown(&error))?;
        let info = stream.get_info().await.map_err(|error| unknown(&error))?;
        self.last_sequence.store(info.state.last_sequence, Ordering::Relaxed);
        Ok(())
    }

    /// The message of an event that follows the one with this sequence; `None` if it is too large for the server.
    fn message(
        &self,
        source: Identity,
        delivery: &Delivery,
        follows: u64,
    ) -> Option<PublishMessage> {
        let payload = payload(delivery);
        if payload.len() + HEADERS > self.nats.max_payload() {
            let (position, bytes) = (delivery.event.position, payload.len());
            tracing::debug!(
                position,
                bytes,
                "an event is too large for NATS; consumers read the log"
            );
            return None;
        }
        let message = PublishMessage::build()
            .payload(payload.into())
            .headers(headers(source, delivery))
            .expected_stream(&self.name)
            .expected_last_sequence(follows);
        Some(message)
    }
}

#[async_trait]
impl RelayTarget for JetStreamTarget {
    async fn resume(&self, source: Identity, head: i64) -> Result<Option<i64>, RelayError> {
        self.require_connection()?;
        let stream = self.stream().await?;
        let state = &stream.cached_info().state;
        self.last_sequence.store(state.last_sequence, Ordering::Relaxed);
        if state.messages == 0 {
            return Ok(None);
        }
        let position = self.last_position(&stream, source, head).await?;
        if position.is_none() {
            self.empty(&stream).await?;
        }
        Ok(position)
    }

    async fn publish(&self, source: Identity, events: &[Delivery]) -> Result<(), RelayError> {
        self.require_connection()?;
        let mut last = self.last_sequence.load(Ordering::Relaxed);
        let mut acknowledgements = Vec::with_capacity(events.len());
        for delivery in events {
            let Some(message) = self.message(source, delivery, last) else { continue };
            let subject = subject(&delivery.event, self.options.services);
            let sent = self.nats.jet_stream().send_publish(subject, message).await;
            last += 1;
            acknowledgements.push((last, sent.map_err(|error| unknown(&error))?));
        }
        for (expected, acknowledgement) in acknowledgements {
            let given = acknowledgement.await.map_err(|error| unknown(&error))?.sequence;
            if given != expected {
                return Err(RelayError::Unknown(format!(
                    "a message got sequence {given} of the stream {}, not {expected}",
                    self.name
                )));
            }
        }
        self.last_sequence.store(last, Ordering::Relaxed);
        Ok(())
    }
}

fn unknown(error: &dyn std::error::Error) -> RelayError {
    RelayError::Unknown(format!("NATS: {error}"))
}
