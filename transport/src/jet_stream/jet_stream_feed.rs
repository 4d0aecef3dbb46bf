//! The feed of another service's log: from its stream as long as that continues what was read, from its owner over HTTP
//! where something is missing, and from what the stream still has while the owner is away.

use super::connection::NatsConnection;
use super::event_window::EventWindow;
use super::stream_follower::{FollowedStream, StreamFollower, expected_event};
use super::stream_reader::StreamReader;
use crate::http_feed::HttpFeed;
use async_trait::async_trait;
use gdmarket_domain::Service;
use gdmarket_projections::{Delivery, Feed, FeedError, Identity, RecordedEvent};
use std::fmt;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

/// The feed of another service's log, over NATS and HTTP. One feed serves all subscriptions of a process that read this
/// log.
pub struct JetStreamFeed {
    http: Arc<HttpFeed>,
    reader: Arc<StreamReader>,
    followed: Arc<FollowedStream>,
    source: String,
    _follower: AbortOnDropHandle<()>,
}

impl fmt::Debug for JetStreamFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamFeed").field("http", &self.http).finish_non_exhaustive()
    }
}

impl JetStreamFeed {
    /// Follows the stream of the log that `http` reads, which has the events of `service`.
    pub fn new(http: HttpFeed, nats: NatsConnection, service: Service) -> Self {
        let http = Arc::new(http);
        let reader = Arc::new(StreamReader::new(nats, service));
        let followed = Arc::<FollowedStream>::default();
        let source = http.services().to_string();
        let following = StreamFollower {
            http: Arc::clone(&http),
            reader: Arc::clone(&reader),
            followed: Arc::clone(&followed),
            source: source.clone(),
        };
        let following = AbortOnDropHandle::new(tokio::spawn(following.run()));
        Self { http, reader, followed, source, _follower: following }
    }

    /// Whether new events come over the stream at once.
    pub fn is_streaming(&self) -> bool {
        self.followed.is_live()
    }

    fn in_window<T>(&self, read: impl FnOnce(&EventWindow) -> T) -> T {
        read(&self.followed.window())
    }

    /// Whether nothing after this position is known by any means.
    fn is_newest(&self, position: i64) -> bool {
        self.followed.is_live()
            && self.http.known_head() <= position
            && self.in_window(EventWindow::newest) <= position
    }

    /// The events that the stream has after a position, while its owner is away.
    async fn kept_after(&self, position: i64, limit: u32) -> Vec<Delivery> {
        let Some(expected) = expected_event(&self.http) else { return vec![] };
        let read = self.reader.read_after(expected, position, limit).await;
        read.unwrap_or_else(|problem| {
            tracing::debug!(source = self.source, problem, "the stream can't be read");
            vec![]
        })
    }

    fn count(&self, via: &'static str, events: &[Delivery]) {
        let labels = [("source", self.source.clone()), ("via", via.to_owned())];
        let events = u64::try_from(events.len()).unwrap_or(0);
        metrics::counter!("gdmarket_source_events_total", &labels).increment(events);
    }
}

#[async_trait]
impl Feed for JetStreamFeed {
    async fn ready(&self) -> Result<(), FeedError> {
        self.http.ready().await
    }

    fn source(&self) -> Identity {
        self.http.source()
    }

    async fn read_after(&self, position: i64, limit: u32) -> Result<Vec<Delivery>, FeedError> {
        if let Some(why) = self.http.refusal() {
            return Err(FeedError::Refused(why));
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let streamed = self.in_window(|window| window.after(position, most));
        if !streamed.is_empty() || self.is_newest(position) {
            self.count("nats", &streamed);
            return Ok(streamed);
        }
        match self.http.read_after(position, limit).await {
            Ok(read) => {
                self.count("http", &read);
                Ok(read)
            }
            Err(FeedError::Unreachable(why)) => {
                let kept = self.kept_after(position, limit).await;
                self.count("nats", &kept);
                if kept.is_empty() { Err(FeedError::Unreachable(why)) } else { Ok(kept) }
            }
            Err(other) => Err(other),
        }
    }

    async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, FeedError> {
        match self.http.at(position).await {
            Err(FeedError::Unreachable(why)) => {
                let streamed = self.in_window(|window| window.at(position).cloned());
                match streamed {
                    Some(delivery) => Ok(Some(delivery.event)),
                    None => Err(FeedError::Unreachable(why)),
                }
            }
            read => read,
        }
    }

    async fn head(&self) -> Result<i64, FeedError> {
        self.http.head().await
    }

    async fn head_for(&self, reached: i64) -> Result<i64, FeedError> {
        match self.http.head().await {
            Err(FeedError::Unreachable(why)) if self.followed.is_live() => {
                let newest = self.in_window(EventWindow::newest).max(self.http.known_head());
                if newest >= reached { Ok(newest) } else { Err(FeedError::Unreachable(why)) }
            }
            read => read,
        }
    }

    fn known_head(&self) -> i64 {
        self.http.known_head().max(self.in_window(EventWindow::newest))
    }

    async fn wait_past(&self, position: i64, until: Instant) {
        let mut changes = self.followed.changes();
        let is_streamed = async {
            while !self.in_window(|window| window.continues(position)) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let either = async {
            tokio::select! {
                () = is_streamed => {}
                () = self.http.wait_past(position, until) => {}
            }
        };
        drop(timeout_at(until, either).await);
    }
}
