//! Follows a stream from its newest message on, and puts its events into the window.
//!
//! The consumer is a pull consumer of its own, which is created again after the last message at every error and at every
//! missed heartbeat: the client's own ordered consumer notices a restart of the server after half a minute only.

use super::event_window::EventWindow;
use super::expected_event::ExpectedEvent;
use super::stream_reader::StreamReader;
use crate::http_feed::HttpFeed;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Config, Stream as Messages};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::Info;
use futures::stream::StreamExt as _;
use gdmarket_domain::Services;
use gdmarket_projections::Feed as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How often the server says that it is there while it has no message.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long one request for messages lasts.
const EXPIRES: Duration = Duration::from_secs(2);
/// After how long the server forgets a consumer that is gone.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);
/// The longest pause before the consumer is created again.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);
/// How often a dropped message is logged.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// What is known of a stream, for the subscriptions that read it.
#[derive(Debug, Default)]
pub(super) struct FollowedStream {
    window: Mutex<EventWindow>,
    changes: watch::Sender<()>,
    is_live: AtomicBool,
}

/// Follows a stream.
pub(super) struct StreamFollower {
    pub(super) http: Arc<HttpFeed>,
    pub(super) reader: Arc<StreamReader>,
    pub(super) followed: Arc<FollowedStream>,
    /// The name of the source in metrics and log lines.
    pub(super) source: String,
}

/// The last message that was seen, and when its stream was created, by its text.
struct LastSeen {
    created: String,
    sequence: u64,
}

impl FollowedStream {
    pub(super) fn window(&self) -> MutexGuard<'_, EventWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when an event is added, and when the stream begins or ceases to be followed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Whether new messages come at once.
    pub(super) fn is_live(&self) -> bool {
        self.is_live.load(Ordering::SeqCst)
    }
}

/// The check of events for a feed; `None` before its log is known.
pub(super) fn expected_event(http: &HttpFeed) -> Option<ExpectedEvent> {
    let source = http.known_source()?;
    let of_others = http.log_services().map(|known| Services::ALL.without(known));
    Some(ExpectedEvent { source, foreign: of_others.unwrap_or_else(|| http.own_services()) })
}

impl StreamFollower {
    /// Follows the stream for as long as the feed exists.
    pub(super) async fn run(self) {
        let (mut seen, mut reported) = (None, None);
        loop {
            let ended = self.follow(&mut seen, &mut reported).await;
            self.set_live(false);
            let Err(problem) = ended;
            tracing::debug!(source = self.source, problem, "the stream isn't followed");
            sleep(LONGEST_PAUSE.mul_f64(rand::random())).await;
        }
    }

    fn set_live(&self, is_live: bool) {
        self.followed.is_live.store(is_live, Ordering::SeqCst);
        self.http.set_followed_otherwise(is_live);
        let live = if is_live { 1.0 } else { 0.0 };
        metrics::gauge!("gdmarket_source_streaming", "source" => self.source.clone()).set(live);
        self.followed.changes.send_replace(());
    }

    async fn follow(
        &self,
        seen: &mut Option<LastSeen>,
        reported: &mut Option<Instant>,
    ) -> Result<std::convert::Infallible, String> {
        self.http.ready().await.map_err(|error| error.to_string())?;
        let mut messages = self.consumer(seen).await?;
        self.set_live(true);
        loop {
            let message = messages.next().await.ok_or("the consumer ended")?;
            let message = message.map_err(|error| error.to_string())?;
            let sequence = message.info().map_err(|error| error.to_string())?.stream_sequence;
            if let Some(seen) = seen {
                seen.sequence = sequence;
            }
            self.take(&message, reported);
        }
    }

    /// A consumer that begins after the last message that was seen, or else with the newest one.
    async fn consumer(&self, seen: &mut Option<LastSeen>) -> Result<Messages, String> {
        let stream = self.reader.stream().await?;
        let info = stream.cached_info();
        let created = info.created.to_string();
        let known = seen.take().filter(|seen| seen.created == created && has(info, seen.sequence));
        let deliver_policy = known.as_ref().map_or(DeliverPolicy::Last, |seen| {
            DeliverPolicy::ByStartSequence { start_sequence: seen.sequence.saturating_add(1) }
        });
        if known.is_none() {
            // Another stream; its events are checked like all others, but nothing of the old one is needed.
            self.followed.window().clear();
        }
        let before_newest = info.state.last_sequence.saturating_sub(1);
        *seen = known.or(Some(LastSeen { created, sequence: before_newest }));
        let consumer = stream.create_consumer(Config {
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..Config::default()
        });
        let consumer = consumer.await.map_err(|error| error.to_string())?;
        let messages = consumer.stream().heartbeat(HEARTBEAT).expires(EXPIRES).messages();
        messages.await.map_err(|error| error.to_string())
    }

    /// Takes the event of a message into the window, or reports why not.
    fn take(&self, message: &Message, reported: &mut Option<Instant>) {
        let Some(expected) = expected_event(&self.http) else { return };
        match expected.read(&message.headers.clone().unwrap_or_default(), &message.payload) {
            Ok(delivery) => {
                let (position, previous) = (delivery.event.position, delivery.previous);
                let mut window = self.followed.window();
                let is_new = window.insert(delivery);
                let is_continuation = window.at(previous).is_some();
                drop(window);
                if is_new && !is_continuation && position > self.http.known_head() {
                    // Something may be missing in between: the owner knows.
                    self.http.look_now();
                }
                self.followed.changes.send_replace(());
            }
            Err(why) => {
                let source = || self.source.clone();
                metrics::counter!("gdmarket_source_messages_dropped_total", "source" => source())
                    .increment(1);
                // If the owner's log is another one by now, it says so itself.
                self.http.look_now();
                if reported.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL) {
                    *reported = Some(Instant::now());
                    let subject = message.subject.as_str();
                    tracing::error!(
                        source = self.source,
                        subject,
                        why,
                        "a message of a stream is refused"
                    );
                }
            }
        }
    }
}

/// Whether a stream has reached this sequence.
const fn has(info: &Info, sequence: u64) -> bool {
    info.state.last_sequence >= sequence
}
