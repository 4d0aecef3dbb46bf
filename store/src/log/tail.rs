//! The newest events of the log, for all readers of this process: one task reads the log once per wake-up and keeps the
//! last events in memory. This process's own appends wake it at once; a short poll finds those of other processes. No
//! reader can miss an event: events that are no longer in memory are read from the log. Each read begins with the last
//! event seen, and a log that lacks it isn't followed any more.

use crate::db::tasks::Tasks;
use crate::error::StoreError;
use crate::log::appender::Signals;
use crate::log::event::RecordedEvent;
use crate::log::event_log::EventLog;
use crate::log::identity_guard::EventMark;
use crate::log_limit::LogLimit;
use ring::Ring;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

mod ring;

/// Events read at once.
const READ: u32 = 1_000;
/// Longest wait after a failed read.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often the log's identity is verified while all reads succeed.
const VERIFY_INTERVAL: Duration = Duration::from_secs(1);

/// A log that can't be read is reported at once, and again every minute.
static READ_FAILURES: LogLimit = LogLimit::new(1, Duration::from_mins(1));
/// Damaged rows are reported one by one; of many at once the rest is counted only.
static DAMAGED: LogLimit = LogLimit::new(20, Duration::from_mins(1));

/// How much of the log a tail keeps, and how often it polls for more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TailSize {
    pub(crate) max_events: usize,
    pub(crate) poll_interval: Duration,
}

/// The tail of the log. It begins to follow the log when it is first used.
#[derive(Clone)]
pub struct Tail(Arc<Inner>);

struct Inner {
    log: EventLog,
    signals: Arc<Signals>,
    poll: Duration,
    ring: Mutex<Ring>,
    head: watch::Sender<i64>,
    /// Why the log can't be followed at the moment.
    fault: Mutex<Option<StoreError>>,
    started: OnceLock<()>,
    tasks: Tasks,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("head", &*self.0.head.borrow()).finish_non_exhaustive()
    }
}

impl Tail {
    pub(crate) fn new(log: EventLog, signals: Arc<Signals>, size: TailSize, tasks: Tasks) -> Self {
        Self(Arc::new(Inner {
            log,
            signals,
            poll: size.poll_interval,
            ring: Mutex::new(Ring::new(size.max_events)),
            head: watch::Sender::new(0),
            fault: Mutex::default(),
            started: OnceLock::new(),
            tasks,
        }))
    }

    /// The position of the last event known here; it changes whenever there is something to read.
    pub fn head(&self) -> watch::Receiver<i64> {
        self.start();
        self.0.head.subscribe()
    }

    /// The events after this position, at most `limit`, in the order of commits: from memory, else
    /// from the log. None are left out; the newest may be a moment behind [`EventLog::head`].
    pub async fn read_after(
        &self,
        position: i64,
        limit: u32,
    ) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        self.start();
        self.0.signals.guard.check()?;
        if let Some(events) = self.0.ring().after(position, limit) {
            // To a reader that is up to date, a log that can't be followed must not look like one without new events.
            if events.is_empty() {
                self.0.check_followed()?;
            }
            return Ok(events);
        }
        let events = self.0.log.read_after(position, limit).await?;
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// The event at this position: from memory, else from the log. `None` means that the log has none
    /// there, not that it isn't known here yet.
    pub async fn at(&self, position: i64) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        let known = self.read_after(position.saturating_sub(1), 1).await?;
        match known.into_iter().find(|event| event.position == position) {
            Some(event) => Ok(Some(event)),
            None => Ok(self.0.log.at(position).await?.map(Arc::new)),
        }
    }

    /// The position of the last event, read from the log itself after verifying that it still is the log that was
    /// opened, with all events that are known of it.
    pub async fn sure_head(&self) -> Result<i64, StoreError> {
        self.0.signals.guard.verify_head(self.0.log.db()).await
    }

    /// Waits until there is an event after this position; says whether there was one in time.
    pub async fn wait_past(&self, position: i64, deadline: Instant) -> bool {
        let mut head = self.head();
        timeout_at(deadline, head.wait_for(|head| *head > position)).await.is_ok_and(|r| r.is_ok())
    }

    fn start(&self) {
        self.0.started.get_or_init(|| {
            let inner = Arc::clone(&self.0);
            self.0.tasks.spawn_until_stopped(async move { inner.follow().await });
        });
    }
}

impl Inner {
    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_followed(&self) -> Result<(), StoreError> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.as_ref().map_or(Ok(()), |why| Err(why.for_another()))
    }

    fn set_fault(&self, why: Option<StoreError>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    async fn follow(&self) {
        let mut written = self.signals.written.subscribe();
        let mut pause = self.poll;
        let (mut last, mut verify_at) = (None, Instant::now());
        loop {
            match self.read(&mut last, &mut verify_at).await {
                // The log isn't followed any more; the identity guard reports why.
                Err(StoreError::OtherLog(_)) => return,
                Ok(()) => {
                    self.set_fault(None);
                    pause = self.poll;
                    tokio::select! {
                        // This very value holds the sender, so that the channel never closes.
                        _ = written.changed() => {}
                        () = sleep(pause) => {}
                    }
                }
                Err(error) => {
                    self.signals.guard.notice(&error);
                    if let Some(left_out) = READ_FAILURES.admit("tail") {
                        tracing::warn!(%error, left_out, "the tail of the log can't be read");
                    }
                    self.set_fault(Some(error));
                    sleep(pause).await;
                    pause = MAX_RETRY_PAUSE.min(pause * 2);
                }
            }
        }
    }

    /// Reads all there is.
    async fn read(
        &self,
        last: &mut Option<EventMark>,
        verify_at: &mut Instant,
    ) -> Result<(), StoreError> {
        if Instant::now() >= *verify_at {
            self.signals.guard.verify_head(self.log.db()).await?;
            *verify_at = Instant::now() + VERIFY_INTERVAL;
        }
        if self.ring().end().is_none() {
            self.begin(last).await?;
        }
        loop {
            let after = last.as_ref().map_or(0, |last| last.position - 1);
            let mut events = self.log.read_after(after, READ).await?;
            let full = events.len() >= usize::try_from(READ).unwrap_or(usize::MAX);
            if let Some(known) = &*last {
                self.signals.guard.verify_event(known, events.first())?;
                events.remove(0);
            }
            let Some(newest) = events.last().map(EventMark::of) else {
                self.publish(last.as_ref().map_or(0, |last| last.position));
                return Ok(());
            };
            let end = newest.position;
            // A row that is of no stream can't be looked up by its stream.
            if let Some(known) = events.iter().rfind(|event| event.has_stream()) {
                self.signals.guard.remember(EventMark::of(known));
            }
            events.iter().for_each(report_damage);
            *last = Some(newest);
            self.ring().push(events);
            self.publish(end);
            if !full {
                return Ok(());
            }
        }
    }

    /// Begins at the head. The head is published after the first read: a caller that learns it then finds the tail
    /// waiting, unless there are newer events.
    async fn begin(&self, last: &mut Option<EventMark>) -> Result<(), StoreError> {
        let head = self.log.head().await?;
        let newest = self.log.read_after(head - 1, 1).await?;
        *last = newest.first().filter(|event| event.position == head).map(EventMark::of);
        let known = newest.first().filter(|event| event.position == head && event.has_stream());
        if let Some(known) = known {
            self.signals.guard.remember(EventMark::of(known));
        }
        self.ring().begin(head);
        Ok(())
    }

    fn publish(&self, position: i64) {
        self.head.send_if_modified(|head| {
            let newer = position > *head;
            *head = position.max(*head);
            newer
        });
    }
}

/// Reports a row that can't be read, whether or not a subscription reads its events.
fn report_damage(event: &RecordedEvent) {
    let Some(reason) = event.damage_reason() else { return };
    metrics::counter!("gdmarket_log_damaged_rows_total").increment(1);
    if let Some(left_out) = DAMAGED.admit("damaged row") {
        let (position, key) = (event.position, event.key());
        tracing::error!(position, key, reason, left_out, "a row of the log can't be read");
    }
}
