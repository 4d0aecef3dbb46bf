//! The streams of a connection on HTTP/2. A stream from which the client reads nothing is reset, and the others
//! continue: each stream has a window of its own, so that one that stalls says nothing about the others.

use super::connection_watch::{LOOK_EVERY, Taken};
use hyper::rt::Executor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

tokio::task_local! {
    static STREAM: Arc<Stream>;
}

/// The bytes that the client reads from one stream, recorded by the body of the answer.
#[derive(Debug, Default)]
pub(super) struct Stream {
    is_blocked: AtomicBool,
    taken: AtomicU64,
}

impl Stream {
    /// The stream of the running task; `None` on HTTP/1, where the connection is the stream.
    pub(super) fn current() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// Records that the client has read all earlier bytes, and that these are offered; `None` if there are none
    /// yet.
    pub(super) fn offer(&self, bytes: Option<usize>) {
        self.is_blocked.store(bytes.is_some(), Ordering::Relaxed);
        let bytes = u64::try_from(bytes.unwrap_or(0)).unwrap_or(0);
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Runs the streams of a connection, each as a task of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamExecutor {
    stalled_reader: Duration,
}

impl StreamExecutor {
    pub(super) const fn new(stalled_reader: Duration) -> Self {
        Self { stalled_reader }
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
{
    fn execute(&self, answering: F) {
        let stream = Arc::new(Stream::default());
        let answering = until_stalled(answering, Arc::clone(&stream), self.stalled_reader);
        tokio::spawn(STREAM.scope(stream, answering));
    }
}

/// Runs a stream to its end, or drops it when the client takes nothing of it: a stream that is dropped is
/// reset.
async fn until_stalled(answering: impl Future, stream: Arc<Stream>, stalled_reader: Duration) {
    tokio::pin!(answering);
    let mut taken = Taken::new();
    while timeout(LOOK_EVERY, answering.as_mut()).await.is_err() {
        let is_blocked = stream.is_blocked.load(Ordering::Relaxed);
        let bytes = stream.taken.load(Ordering::Relaxed);
        if taken.is_too_slow(is_blocked, bytes, stalled_reader) {
            metrics::counter!("gdmarket_http_streams_reset_total").increment(1);
            return;
        }
    }
}
