//! Brings events from the log to one reader, frame by frame, until the reader goes away, takes nothing
//! any more, or this server stops accepting.

use crate::token::Tokens;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use gdmarket_projections::{Follower, QueryError, ToldEvent};
use serde::Serialize;
use serde_json::Value;
use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use utoipa::ToSchema;

/// How often a stream without news shows that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream waits when the database doesn't answer.
const PAUSE: Duration = Duration::from_secs(1);
/// When a reader comes back after its stream broke, in milliseconds.
const RETRY_MS: u64 = 2_000;
/// Up to how much later it comes back when all streams of a server end at once.
const SPREAD_MS: u64 = 3_000;

/// An event on the wire
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamedEvent {
    /// Where it is in the log.
    position: i64,
    /// Whose event it is.
    #[schema(example = "item/1")]
    stream: String,
    /// Its number in the stream.
    sequence: i64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "ItemHeld")]
    event_type: String,
    /// The version of the event's shape.
    version: String,
    recorded_at: DateTime<Utc>,
    /// The position of the event that caused it; `null` for what a person asked.
    #[schema(required)]
    caused_by: Option<i64>,
    /// What the event says.
    data: Value,
}

impl From<ToldEvent> for StreamedEvent {
    /// Without actor, command and correlation: they are the operator's business.
    fn from(event: ToldEvent) -> Self {
        Self {
            position: event.position,
            stream: event.stream,
            sequence: event.sequence,
            event_type: event.event_type,
            version: event.version,
            recorded_at: event.recorded_at,
            caused_by: event.caused_by,
            data: event.data,
        }
    }
}

/// One reader's stream.
pub(super) struct Pump {
    follower: Follower,
    tokens: Tokens,
    frames: mpsc::Sender<Bytes>,
    /// How long a reader may take nothing.
    stalled_reader: Duration,
}

impl Pump {
    pub(super) const fn new(
        follower: Follower,
        tokens: Tokens,
        frames: mpsc::Sender<Bytes>,
        stalled_reader: Duration,
    ) -> Self {
        Self { follower, tokens, frames, stalled_reader }
    }

    /// Goes on until the reader or the server ends it. A reader that came with an id of another log is
    /// told to begin anew.
    pub(super) async fn run(mut self, is_known: bool, server_ends: impl Future<Output = ()>) {
        let frames = self.frames.clone();
        let reason = tokio::select! {
            reason = self.go_on(is_known) => reason,
            () = server_ends => {
                // Not all at once to the servers that are left. A full queue tells it by its end.
                let retry = RETRY_MS + rand::random_range(0..SPREAD_MS);
                drop(frames.try_send(Bytes::from(format!("retry: {retry}\n\n"))));
                "server"
            }
        };
        metrics::counter!("gdmarket_event_streams_ended_total", "reason" => reason).increment(1);
    }

    async fn go_on(&mut self, is_known: bool) -> &'static str {
        let first = format!("retry: {RETRY_MS}\n{}", if is_known { "" } else { RESET });
        if let Err(reason) = self.send(first, self.follower.position()).await {
            return reason;
        }
        loop {
            let now = Instant::now();
            let until = now.checked_add(HEARTBEAT).unwrap_or(now);
            let events = tokio::select! {
                events = self.follower.next(until) => events,
                () = self.frames.closed() => return GONE,
            };
            let events = match events {
                Ok(events) => events,
                // What comes later isn't lost.
                Err(QueryError::Unavailable(_)) => vec![],
                Err(error) => {
                    tracing::error!(%error, "a stream of events ends");
                    return UNREADABLE;
                }
            };
            if let Err(reason) = self.pass_on(events, until).await {
                return reason;
            }
        }
    }

    /// Passes events on; without any, that the stream is still there and how far it has looked.
    async fn pass_on(
        &self,
        events: Vec<ToldEvent>,
        heartbeat: Instant,
    ) -> Result<(), &'static str> {
        if events.is_empty() {
            if Instant::now() < heartbeat {
                // The database doesn't answer: what comes later isn't lost.
                sleep(PAUSE).await;
            }
            return self.send(": still here\n".to_owned(), self.follower.position()).await;
        }
        for event in events {
            let position = event.position;
            // Texts, numbers and JSON itself: always JSON, and never more than one line.
            let data = serde_json::to_string(&StreamedEvent::from(event)).unwrap_or_default();
            self.send(format!("data: {data}\n"), position).await?;
            metrics::counter!("gdmarket_event_stream_events_total").increment(1);
        }
        Ok(())
    }

    /// Sends a frame whose id is the token of a position.
    async fn send(&self, lines: String, position: i64) -> Result<(), &'static str> {
        let frame = format!("{lines}id: {}\n\n", self.tokens.token(position));
        match timeout(self.stalled_reader, self.frames.send(frame.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(GONE),
            Err(_) => Err(STALLED),
        }
    }
}

const GONE: &str = "reader";
const STALLED: &str = "stalled";
const UNREADABLE: &str = "unreadable";
/// The last id was of another log, or of one that was set back.
const RESET: &str = "event: reset\ndata: {\"reason\":\"unknown-token\"}\n";
