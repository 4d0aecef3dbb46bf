//! Brings events from the log to one reader until the reader disconnects, stops reading, or this server
//! stops accepting requests.

use crate::token::Tokens;
use axum::response::sse::Event;
use gdmarket_projections::{EventView, Follower, QueryError};
use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// How often a stream without news sends a comment. axum's own keep-alive carries no id, which a reader
/// needs to resume after what was looked at and didn't match.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The pause after a read that the database didn't answer.
const PAUSE: Duration = Duration::from_secs(1);
/// When a reader reconnects after its stream broke.
const RETRY: Duration = Duration::from_secs(2);
/// How much later it reconnects at most when all streams of a server end at once, in milliseconds.
const RETRY_SPREAD_MS: u64 = 3_000;

/// Why a stream ended, as the metric labels it.
type EndReason = &'static str;

const SERVER: EndReason = "server";
const GONE: EndReason = "reader";
const STALLED: EndReason = "stalled";
const UNREADABLE: EndReason = "unreadable";

/// One reader's stream.
pub(super) struct Pump {
    pub(super) follower: Follower,
    pub(super) tokens: Tokens,
    pub(super) events: mpsc::Sender<Event>,
    /// How long a reader may take nothing before its stream ends.
    pub(super) stalled_reader: Duration,
}

impl Pump {
    /// Runs until the reader or the server ends it. A reader whose last id belongs to another log
    /// (`is_known` is false) gets an event `reset` first.
    pub(super) async fn run(mut self, is_known: bool, server_ends: impl Future<Output = ()>) {
        let events = self.events.clone();
        let reason = tokio::select! {
            reason = self.follow(is_known) => reason,
            () = server_ends => {
                // Readers shall not all reconnect to the remaining servers at once. A full queue drops
                // this, and the end of the stream says enough.
                let spread = Duration::from_millis(rand::random_range(0..RETRY_SPREAD_MS));
                drop(events.try_send(Event::default().retry(RETRY + spread)));
                SERVER
            }
        };
        metrics::counter!("gdmarket_event_streams_ended_total", "reason" => reason).increment(1);
    }

    async fn follow(&mut self, is_known: bool) -> EndReason {
        let mut first = Event::default().retry(RETRY);
        if !is_known {
            first = first.event("reset").data(r#"{"reason":"unknown-token"}"#);
        }
        if let Err(reason) = self.send(first, self.follower.position()).await {
            return reason;
        }
        loop {
            let now = Instant::now();
            let heartbeat = now.checked_add(HEARTBEAT).unwrap_or(now);
            let events = tokio::select! {
                events = self.follower.next(heartbeat) => events,
                () = self.events.closed() => return GONE,
            };
            let events = match events {
                Ok(events) => events,
                // The follower keeps its position: the events come once the database answers.
                Err(QueryError::Unavailable(_)) => vec![],
                Err(error) => {
                    tracing::error!(%error, "a stream of events ends");
                    return UNREADABLE;
                }
            };
            if let Err(reason) = self.pass_on(events, heartbeat).await {
                return reason;
            }
        }
    }

    /// Passes events on; without any, a comment with the position that was looked at.
    async fn pass_on(&self, events: Vec<EventView>, heartbeat: Instant) -> Result<(), EndReason> {
        if events.is_empty() {
            if Instant::now() < heartbeat {
                // Nothing came before the time was over: the database doesn't answer.
                sleep(PAUSE).await;
            }
            let comment = Event::default().comment("still here");
            return self.send(comment, self.follower.position()).await;
        }
        for event in events {
            let position = event.position;
            // Texts, numbers and JSON itself: always JSON.
            let data = Event::default().json_data(event.without_origin()).unwrap_or_default();
            self.send(data, position).await?;
            metrics::counter!("gdmarket_event_stream_events_total").increment(1);
        }
        Ok(())
    }

    /// Sends an event whose id is the token of a position.
    async fn send(&self, event: Event, position: i64) -> Result<(), EndReason> {
        let event = event.id(self.tokens.token(position));
        match timeout(self.stalled_reader, self.events.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(GONE),
            Err(_) => Err(STALLED),
        }
    }
}
