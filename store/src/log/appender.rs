//! The group commit: one task per process takes all commands that wait, writes them in one round trip and answers
//! each by itself. There is no timer: while one batch is in flight, the next one collects.
//!
//! [`Appender::append`] is the only way into the log. Dropping its future drops only the waiting.

mod batch;
mod conflicts;
mod driver;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;
mod writer;

use crate::db::tasks::Tasks;
use crate::log::append::{Append, AppendError, Appended};
use crate::log::identity_guard::LogIdentityGuard;
use batch::CommandBatch;
use driver::Driver;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use postgres::PostgresWriter;
pub(crate) use sqlite::SqliteWriter;
use writer::LogWriter;

/// Where fewer commands wait, the scheduler runs once before the batch is chosen, so that callers that were just
/// answered can send their next command: otherwise the first of a few callers would be written alone, and the others
/// would always wait for it. This takes no time. With more commands the round trip is worth it as it is, and a single
/// caller waits for no other.
const LARGE_BATCH: usize = 16;

/// A command in the queue.
struct QueuedAppend {
    append: Append,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The appender's signals to the rest of the process.
#[derive(Debug)]
pub(crate) struct Signals {
    /// The position of the last event this process wrote.
    pub(crate) written: watch::Sender<i64>,
    /// Counts lost connections. State from before one isn't relied on.
    generation: AtomicU64,
    /// Whether the log is still the same.
    pub(crate) guard: LogIdentityGuard,
}

impl Signals {
    pub(crate) fn new(guard: LogIdentityGuard) -> Arc<Self> {
        let (written, generation) = (watch::Sender::new(0), AtomicU64::new(0));
        Arc::new(Self { written, generation, guard })
    }

    fn lost(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        metrics::counter!("gdmarket_append_connections_lost_total").increment(1);
    }
}

/// The way into the log.
#[derive(Debug, Clone)]
pub struct Appender {
    queue: mpsc::Sender<QueuedAppend>,
    signals: Arc<Signals>,
}

impl Appender {
    /// Starts the task. It ends when the store closes and the queue, of this length, is drained.
    pub(crate) fn start<W: LogWriter>(
        writer: W,
        signals: Arc<Signals>,
        queue: usize,
        tasks: &Tasks,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(queue.max(1));
        let driver = Driver::new(writer, Arc::clone(&signals));
        tasks.tracker.spawn(supervise(driver, waiting, tasks.stop.clone()));
        Self { queue, signals }
    }

    /// Appends the command's events, its receipt and its names: all or nothing, on disk when this
    /// returns. Commands of one stream are written in the order they came in.
    ///
    /// A started command runs to its end, whether or not its caller waits. Every error but
    /// [`AppendError::Unknown`] means that this call wrote nothing.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let (answer, answered) = oneshot::channel();
        if self.queue.send(QueuedAppend { append, answer }).await.is_err() {
            return Err(AppendError::Unavailable("the store is closed".to_owned()));
        }
        answered.await.unwrap_or_else(|_| Err(AppendError::Unknown("the appender died".to_owned())))
    }

    /// Changes with every lost connection.
    pub(crate) fn generation(&self) -> u64 {
        self.signals.generation.load(Ordering::Acquire)
    }
}

/// Runs the driver, again if it panics. The commands of its batch are answered with [`AppendError::Unknown`].
async fn supervise<W: LogWriter>(
    mut driver: Driver<W>,
    mut waiting: mpsc::Receiver<QueuedAppend>,
    stop: CancellationToken,
) {
    while AssertUnwindSafe(run(&mut driver, &mut waiting, &stop)).catch_unwind().await.is_err() {
        tracing::error!("the appender panicked and is started again");
        driver.forget_connection();
    }
}

async fn run<W: LogWriter>(
    driver: &mut Driver<W>,
    waiting: &mut mpsc::Receiver<QueuedAppend>,
    stop: &CancellationToken,
) {
    let mut batch = CommandBatch::default();
    let mut has_other_callers = false;
    loop {
        if batch.is_idle() {
            tokio::select! {
                biased;
                received = batch.receive(waiting) => if received == 0 { return },
                () = stop.cancelled(), if !waiting.is_closed() => waiting.close(),
            }
        }
        if has_other_callers && batch.left() + waiting.len() < LARGE_BATCH {
            tokio::task::yield_now().await;
        }
        batch.receive_waiting(waiting);
        batch.choose();
        driver.show_queue(batch.left() + waiting.len());
        let appends = batch.appends();
        if !appends.is_empty() {
            let answers = driver.write(&appends).await;
            let is_of_few = (2..LARGE_BATCH).contains(&answers.len());
            has_other_callers = is_of_few || batch.left() + waiting.len() > 0;
            batch.answer(answers);
        }
    }
}
