//! The feed of another service's log, read from its owner over HTTP (`GET /internal/log`).
//!
//! Nothing that the owner answers is taken on trust: a page of another log, of another epoch, with a gap, out of order,
//! or with events of a service that doesn't live there is refused as a whole, and the same read is tried again. While the
//! owner doesn't answer, the feed waits and says so.

mod page_check;
mod reachability;
mod service_traces;
mod source_client;

pub use reachability::{Reachability, SourceCondition, SourceReading};
pub use source_client::{LogQuery, SourceClient, SourceOptions};

use async_trait::async_trait;
use gdmarket_domain::Services;
use gdmarket_projections::{Delivery, Feed, FeedError, Identity, LogPage, RecordedEvent};
use page_check::{ExpectedPage, First};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// What a feed says of its log before its owner was reached for the first time.
const UNKNOWN: Identity = Identity { log_id: Uuid::nil(), epoch: 0 };

/// The feed of another service's log. One feed serves all subscriptions of a process that read this log; while it
/// exists it polls the owner for the newest position.
pub struct HttpFeed {
    owner: Arc<Owner>,
    _follower: AbortOnDropHandle<()>,
}

/// The owner of the log, as this process sees it.
struct Owner {
    client: SourceClient,
    /// The log of the first answer, or the one that is known from before. No other one is read.
    source: OnceLock<Identity>,
    head: watch::Sender<i64>,
    reachability: Arc<Reachability>,
    /// The services whose events the log has, as its owner said last.
    services: watch::Sender<Option<Services>>,
    /// New events come by other means: the owner is asked now and then only.
    is_followed_otherwise: AtomicBool,
    /// Asks the owner for its newest position at once.
    look: Notify,
}

impl fmt::Debug for HttpFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.owner.client.services();
        let mut feed = f.debug_struct("HttpFeed");
        feed.field("services", &services).field("source", &self.owner.source.get());
        feed.finish_non_exhaustive()
    }
}

impl HttpFeed {
    /// The feed of the log that its owner has when it is reached for the first time: see [`Feed::ready`].
    pub fn new(client: SourceClient) -> Self {
        Self::start(client, OnceLock::new())
    }

    /// The feed of a log that is known from before. An owner that has another log is refused.
    pub fn of(client: SourceClient, source: Identity) -> Self {
        Self::start(client, OnceLock::from(source))
    }

    fn start(client: SourceClient, source: OnceLock<Identity>) -> Self {
        let reachability = Arc::new(Reachability::new(&client));
        let owner = Arc::new(Owner {
            client,
            source,
            head: watch::Sender::new(0),
            reachability,
            services: watch::Sender::new(None),
            is_followed_otherwise: AtomicBool::new(false),
            look: Notify::new(),
        });
        let follower = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&owner).follow()));
        Self { owner, _follower: follower }
    }

    /// Whether the owner can be read; it is kept current as long as the feed exists.
    pub fn reachability(&self) -> Arc<Reachability> {
        Arc::clone(&self.owner.reachability)
    }

    /// The services whose events are read.
    pub(crate) fn services(&self) -> Services {
        self.owner.client.services()
    }

    /// The services of this process.
    pub(crate) fn own_services(&self) -> Services {
        self.owner.client.own_services()
    }

    /// The services whose events the log has; `None` before its owner was reached.
    pub(crate) fn log_services(&self) -> Option<Services> {
        *self.owner.services.borrow()
    }

    /// The log, if it is known already.
    pub(crate) fn known_source(&self) -> Option<Identity> {
        self.owner.source.get().copied()
    }

    /// Why the owner's last answer was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.owner.reachability.refusal()
    }

    /// Whether new events come by other means, so that the owner is asked for its newest position once per interval and
    /// needn't wait for one.
    pub(crate) fn set_followed_otherwise(&self, is_followed: bool) {
        self.owner.is_followed_otherwise.store(is_followed, Ordering::SeqCst);
        self.look_now();
    }

    /// Asks the owner for its newest position at once.
    pub(crate) fn look_now(&self) {
        self.owner.look.notify_one();
    }
}

impl Owner {
    /// The log, which the first answer names if it isn't known from before.
    async fn source(&self) -> Result<Identity, FeedError> {
        if let Some(known) = self.source.get() {
            return Ok(*known);
        }
        let query = LogQuery { after: 0, limit: 1, wait: Duration::ZERO };
        let page = self.client.page(query).await.and_then(|page| {
            page_check::verify_services(&self.client, &page)?;
            Ok(page)
        });
        self.reachability.note(page.as_ref().err());
        let source = page?.source;
        Ok(*self.source.get_or_init(|| source))
    }

    /// Reads a page, and refuses it unless it continues the log.
    async fn read(&self, query: LogQuery, first: First) -> Result<LogPage, FeedError> {
        let source = self.source().await?;
        let page = self.client.page(query).await.and_then(|page| {
            ExpectedPage { client: &self.client, source, query, first }.verify(&page)?;
            Ok(page)
        });
        self.reachability.note(page.as_ref().err());
        if let Ok(page) = &page {
            self.services.send_replace(Some(page.services));
            self.head.send_if_modified(|head| {
                let is_newer = page.head > *head;
                *head = page.head.max(*head);
                is_newer
            });
        }
        page
    }

    /// Keeps the newest position known. The owner answers as soon as there is a newer one, at the latest after the
    /// poll interval.
    async fn follow(self: Arc<Self>) {
        let interval = self.client.poll_interval();
        loop {
            let (known, next) = (*self.head.borrow(), Instant::now() + interval);
            let is_pushed = self.is_followed_otherwise.load(Ordering::SeqCst);
            let wait = if is_pushed { Duration::ZERO } else { interval };
            let read =
                self.read(LogQuery { after: known, limit: 1, wait }, First::FollowsAny).await;
            if is_pushed || !read.is_ok_and(|page| page.head > known) {
                tokio::select! { () = sleep_until(next) => {} () = self.look.notified() => {} }
            }
        }
    }
}

#[async_trait]
impl Feed for HttpFeed {
    async fn ready(&self) -> Result<(), FeedError> {
        self.owner.source().await.map(drop)
    }

    fn source(&self) -> Identity {
        self.owner.source.get().copied().unwrap_or(UNKNOWN)
    }

    async fn read_after(&self, position: i64, limit: u32) -> Result<Vec<Delivery>, FeedError> {
        let query = LogQuery { after: position, limit, wait: Duration::ZERO };
        Ok(self.owner.read(query, First::FollowsQuery).await?.deliveries)
    }

    async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, FeedError> {
        if position < 1 {
            return Ok(None);
        }
        let after = position.saturating_sub(1);
        let query = LogQuery { after, limit: 1, wait: Duration::ZERO };
        let page = self.owner.read(query, First::FollowsAny).await?;
        let event = page.deliveries.into_iter().next().map(|delivery| delivery.event);
        Ok(event.filter(|event| event.position == position))
    }

    async fn head(&self) -> Result<i64, FeedError> {
        let query = LogQuery { after: self.known_head(), limit: 1, wait: Duration::ZERO };
        Ok(self.owner.read(query, First::FollowsAny).await?.head)
    }

    fn known_head(&self) -> i64 {
        *self.owner.head.borrow()
    }

    async fn wait_past(&self, position: i64, until: Instant) {
        let mut head = self.owner.head.subscribe();
        // At `until` the subscription looks by itself.
        drop(timeout_at(until, head.wait_for(|head| *head > position)).await);
    }
}
