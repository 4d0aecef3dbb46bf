//! The activity of a connection: its socket and its requests record it, and its watch reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The activity of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// Requests whose answers are not sent completely.
    requests: AtomicUsize,
    /// The requests among them whose bodies have not arrived.
    reading: AtomicUsize,
    has_requested: AtomicBool,
    is_head_started: AtomicBool,
    /// Since when the connection waits for a head or for the rest of one, in milliseconds after
    /// `opened`.
    waits_since: AtomicU64,
    written: AtomicU64,
    is_full: AtomicBool,
    /// Answers with bytes that the peer has no room for.
    offered: AtomicUsize,
    cut: Notify,
    last: Notify,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            requests: AtomicUsize::new(0),
            reading: AtomicUsize::new(0),
            has_requested: AtomicBool::new(false),
            is_head_started: AtomicBool::new(false),
            waits_since: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            offered: AtomicUsize::new(0),
            cut: Notify::new(),
            last: Notify::new(),
        })
    }

    fn waits_from_now(&self) {
        let elapsed = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.waits_since.store(elapsed, Ordering::Relaxed);
    }

    /// Records that bytes arrived.
    pub(super) fn has_read(&self) {
        if !self.is_answering() && !self.is_head_started.swap(true, Ordering::Relaxed) {
            self.waits_from_now();
        }
    }

    /// Records the number of bytes sent; `None` if the socket is full.
    pub(super) fn has_written(&self, bytes: Option<usize>) {
        self.is_full.store(bytes.is_none(), Ordering::Relaxed);
        let bytes = u64::try_from(bytes.unwrap_or(0)).unwrap_or(0);
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Records a request whose head is complete.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.has_requested.store(true, Ordering::Relaxed);
        self.is_head_started.store(false, Ordering::Relaxed);
        Answering { activity: Arc::clone(self), is_offered: false }
    }

    /// Records that the body of a request is being received.
    pub(super) fn read_body(self: &Arc<Self>) -> ReadingBody {
        self.reading.fetch_add(1, Ordering::Relaxed);
        ReadingBody(Arc::clone(self))
    }

    pub(super) fn is_answering(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Whether some request has arrived completely, so that it is processed or answered.
    pub(super) fn is_working(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > self.reading.load(Ordering::Relaxed)
    }

    pub(super) fn has_requested(&self) -> bool {
        self.has_requested.load(Ordering::Relaxed)
    }

    pub(super) fn is_head_started(&self) -> bool {
        self.is_head_started.load(Ordering::Relaxed)
    }

    /// For how long the connection has been waiting for a head.
    pub(super) fn waits_for(&self) -> Duration {
        let since = Duration::from_millis(self.waits_since.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(since)
    }

    /// Whether the peer doesn't read the bytes offered to it, on the whole connection or on one stream.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_full() || self.offered.load(Ordering::Relaxed) > 0
    }

    /// Whether the socket accepts no more bytes.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Makes the connection accept no further request.
    pub(super) fn end_after_answers(&self) {
        self.last.notify_one();
    }

    /// Waits until the connection shall accept no further request.
    pub(super) async fn ends_after_answers(&self) {
        self.last.notified().await;
    }

    /// Ends the connection.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Waits until the connection shall end.
    pub(super) async fn is_cut(&self) {
        self.cut.notified().await;
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct Answering {
    activity: Arc<Activity>,
    is_offered: bool,
}

impl Answering {
    /// Records whether the connection holds bytes of the answer and has not requested more.
    pub(super) fn offer(&mut self, is_offered: bool) {
        match (self.is_offered, is_offered) {
            (false, true) => drop(self.activity.offered.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.activity.offered.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        self.is_offered = is_offered;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.offer(false);
        self.activity.waits_from_now();
        self.activity.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that is being received.
#[derive(Debug)]
pub(super) struct ReadingBody(Arc<Activity>);

impl Drop for ReadingBody {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, Ordering::Relaxed);
    }
}
