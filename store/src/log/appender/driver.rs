//! How a batch is written: in one statement first; where that fails, checked, so that exactly the commands that can't
//! be appended are left out; and how its outcome is found after a lost connection.

use super::Signals;
use super::conflicts::{conflict, is_own};
use super::writer::{LogWriter, WriteFault, WriteResult};
use crate::error::{StorageFault, StoreError};
use crate::failpoint;
use crate::log::append::{Append, AppendError, Appended};
use crate::log::identity_guard::{EventMark, LogIdentityGuard};
use crate::log_limit::LogLimit;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long the outcome of a batch whose connection was lost is looked up. Callers wait.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a checked batch is tried; while it holds the lock, only a foreign writer that ignores the lock can
/// conflict with it.
const CHECKED_TRIES: u32 = 3;

/// A database that is away is reported by every batch that meets it.
static LOST: LogLimit = LogLimit::new(5, Duration::from_secs(10));

/// Damage stays until it is repaired, so each command that meets it would report it again.
static DAMAGED: LogLimit = LogLimit::new(5, Duration::from_secs(10));

type Answer = Result<Appended, AppendError>;

pub(super) struct Driver<W> {
    writer: W,
    signals: Arc<Signals>,
    commands: metrics::Histogram,
    seconds: metrics::Histogram,
    events: metrics::Counter,
    queue: metrics::Gauge,
}

impl<W: LogWriter> Driver<W> {
    pub(super) fn new(writer: W, signals: Arc<Signals>) -> Self {
        Self {
            writer,
            signals,
            commands: metrics::histogram!("gdmarket_append_batch_commands"),
            seconds: metrics::histogram!("gdmarket_append_batch_seconds"),
            events: metrics::counter!("gdmarket_append_events_total"),
            queue: metrics::gauge!("gdmarket_append_queue_commands"),
        }
    }

    /// How many commands wait behind the batch that is about to be written.
    pub(super) fn show_queue(&self, commands: usize) {
        self.queue.set(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
    }

    pub(super) fn forget_connection(&mut self) {
        self.writer.forget_connection();
        self.signals.lost();
    }

    /// Writes a batch: one answer for each of its commands, in order.
    pub(super) async fn write(&mut self, batch: &[&Append]) -> Vec<Answer> {
        let began = Instant::now();
        if let Err(error) = self.signals.guard.check() {
            return all(batch, &AppendError::Unavailable(error.to_string()));
        }
        failpoint!("store.before-append");
        let answers = match self.writer.append(batch).await {
            Ok(positions) => appended(batch, &positions),
            Err(WriteFault::Contended(_)) => {
                metrics::counter!("gdmarket_append_contended_batches_total").increment(1);
                self.append_checked(batch).await
            }
            Err(WriteFault::Data(_)) => self.append_individually(batch).await,
            Err(WriteFault::Unavailable(why)) => all(batch, &AppendError::Unavailable(why)),
            Err(WriteFault::Damaged(why)) => self.damaged(batch, why).await,
            Err(WriteFault::Unsynced(why)) => self.unsynced(batch, why),
            Err(WriteFault::Lost(why)) => {
                let answers = self.find_outcomes(batch, why).await;
                self.append_missing(batch, answers).await
            }
        };
        failpoint!("store.after-commit");
        let answers = in_the_open_file(&self.signals.guard, batch, answers).await;
        self.publish(batch, &answers);
        let events = answers.iter().flatten().map(|appended| appended.count);
        self.events.increment(u64::try_from(events.sum::<i64>()).unwrap_or(0));
        self.commands.record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        self.seconds.record(began.elapsed().as_secs_f64());
        answers
    }

    /// A batch that failed to sync is neither acknowledged nor tried again: the system has discarded the data that it
    /// couldn't write, so that a second try would succeed. The process ends.
    fn unsynced(&self, batch: &[&Append], why: String) -> Vec<Answer> {
        let error = StoreError::Storage { fault: StorageFault::Unsynced, why };
        self.signals.guard.notice(&error);
        all(batch, &AppendError::Unknown(error.to_string()))
    }

    /// A damaged file of SQLite takes no more appends. On PostgreSQL one page of a table or an index is damaged, which
    /// costs only the commands that need that page.
    async fn damaged(&mut self, batch: &[&Append], why: String) -> Vec<Answer> {
        self.signals.guard.notice(&StoreError::Damaged(why.clone()));
        if batch.len() > 1 && self.signals.guard.check().is_ok() {
            return self.append_individually(batch).await;
        }
        if let Some(left_out) = DAMAGED.admit("append") {
            tracing::error!(why, left_out, "the log is damaged where something would be appended");
        }
        all(batch, &AppendError::Damaged(why))
    }

    /// Remembers which event must be in the log from now on, and wakes readers that wait for new events, before any
    /// command is answered.
    fn publish(&self, batch: &[&Append], answers: &[Answer]) {
        let done = batch.iter().zip(answers);
        let done = done.filter_map(|(append, answer)| Some((append, answer.as_ref().ok()?)));
        let last = done.filter(|(_, done)| done.count > 0).max_by_key(|(_, done)| done.position);
        if let Some((append, done)) = last {
            let position = done.position;
            self.signals.guard.remember(EventMark {
                position,
                stream: append.stream.clone(),
                sequence: append.expected + append.count(),
                metadata: append.metadata.clone(),
            });
            self.signals.written.send_if_modified(|written| {
                let newer = position > *written;
                *written = position.max(*written);
                newer
            });
        }
    }

    /// Holds the lock, reads receipts and heads, and appends the commands that may be appended.
    async fn append_checked(&mut self, batch: &[&Append]) -> Vec<Answer> {
        let mut tries = 1;
        loop {
            match self.checked(batch).await {
                Ok(answers) => return answers,
                Err(WriteFault::Contended(_)) if tries < CHECKED_TRIES => tries += 1,
                Err(WriteFault::Contended(why) | WriteFault::Data(why)) if batch.len() == 1 => {
                    return vec![Err(AppendError::Rejected(why))];
                }
                Err(WriteFault::Contended(_) | WriteFault::Data(_)) => {
                    return self.append_individually(batch).await;
                }
                Err(WriteFault::Unavailable(why)) => {
                    return all(batch, &AppendError::Unavailable(why));
                }
                Err(WriteFault::Damaged(why)) => return self.damaged(batch, why).await,
                Err(WriteFault::Unsynced(why)) => return self.unsynced(batch, why),
                Err(WriteFault::Lost(why)) => return self.find_outcomes(batch, why).await,
            }
        }
    }

    /// Appends each command in a transaction of its own, so that bad data costs only the command that has it.
    async fn append_individually(&mut self, batch: &[&Append]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(batch.len());
        for append in batch {
            answers.extend(Box::pin(self.append_checked(&[*append])).await);
        }
        answers
    }

    async fn checked(&mut self, batch: &[&Append]) -> WriteResult<Vec<Answer>> {
        let result = self.in_transaction(batch).await;
        if result.is_err() {
            self.writer.rollback().await;
        }
        result
    }

    async fn in_transaction(&mut self, batch: &[&Append]) -> WriteResult<Vec<Answer>> {
        self.writer.begin().await?;
        let receipts = self.writer.receipts(batch).await?;
        let heads = self.writer.heads(batch).await?;
        let with_heads = batch.iter().zip(heads);
        let conflicts: Vec<Option<AppendError>> =
            with_heads.map(|(append, head)| conflict(append, &receipts, head)).collect();
        let without = batch.iter().zip(&conflicts).filter(|(_, conflict)| conflict.is_none());
        let accepted: Vec<&Append> = without.map(|(append, _)| *append).collect();
        let positions =
            if accepted.is_empty() { Vec::new() } else { self.writer.insert(&accepted).await? };
        self.writer.commit().await?;
        let mut done = appended(&accepted, &positions).into_iter();
        let answer = |conflict: Option<AppendError>| match conflict {
            None => done.next().unwrap_or_else(|| Err(AppendError::Unknown(LOST_COUNT.to_owned()))),
            Some(error) => {
                count_refusal(&error);
                Err(error)
            }
        };
        Ok(conflicts.into_iter().map(answer).collect())
    }

    /// The connection was lost before it answered. First its transaction is brought to an end, then the receipts show
    /// which commands were appended.
    async fn find_outcomes(&mut self, batch: &[&Append], why: String) -> Vec<Answer> {
        if let Some(left_out) = LOST.admit("connection") {
            let commands = batch.len();
            tracing::warn!(why, commands, left_out, "the appender lost its connection");
        }
        self.signals.lost();
        let deadline = Instant::now() + LOOK_UP_TIMEOUT;
        loop {
            match timeout_at(deadline, self.look_up(batch)).await {
                Ok(Ok(answers)) => return answers,
                Ok(Err(error)) => tracing::debug!(?error, "looking for receipts"),
                Err(_) => {}
            }
            self.writer.forget_connection();
            let is_other_log = self.signals.guard.check().is_err();
            if is_other_log || Instant::now() + PAUSE >= deadline {
                return all(batch, &AppendError::Unknown(why));
            }
            sleep(PAUSE).await;
        }
    }

    /// A command without a receipt was not appended, and the old connection can't do it any more: so it is appended
    /// once on the new connection. A connection that was lost while it was idle thus costs no caller anything.
    async fn append_missing(&mut self, batch: &[&Append], mut answers: Vec<Answer>) -> Vec<Answer> {
        let pairs = batch.iter().zip(&mut answers);
        let undone = pairs.filter(|(_, answer)| matches!(answer, Err(AppendError::Unavailable(_))));
        let (undone, places): (Vec<&Append>, Vec<&mut Answer>) =
            undone.map(|(append, answer)| (*append, answer)).unzip();
        if !undone.is_empty() {
            let again = self.append_checked(&undone).await;
            places.into_iter().zip(again).for_each(|(place, answer)| *place = answer);
        }
        answers
    }

    async fn look_up(&mut self, batch: &[&Append]) -> WriteResult<Vec<Answer>> {
        self.writer.reconnect().await?;
        let receipts = self.writer.receipts(batch).await?;
        let mut answers = Vec::with_capacity(batch.len());
        for append in batch {
            answers.push(match receipts.get(&append.command_id) {
                None => Err(AppendError::Unavailable("the connection was lost".to_owned())),
                Some(receipt) if !is_own(append, receipt) => {
                    Err(AppendError::Duplicate(receipt.clone()))
                }
                Some(_) if append.events.is_empty() => Ok(append.appended(0)),
                Some(_) => {
                    let last = append.expected + append.count();
                    Ok(append.appended(self.writer.position(&append.stream, last).await?))
                }
            });
        }
        Ok(answers)
    }
}

/// Appends into a file that was replaced while it was open are not acknowledged.
async fn in_the_open_file(
    guard: &LogIdentityGuard,
    batch: &[&Append],
    answers: Vec<Answer>,
) -> Vec<Answer> {
    if !answers.iter().any(Result::is_ok) {
        return answers;
    }
    match guard.check_files().await {
        Ok(()) => answers,
        Err(error) => all(batch, &AppendError::Unknown(error.to_string())),
    }
}

const LOST_COUNT: &str = "the database answered for fewer commands than it was given";

fn appended(batch: &[&Append], positions: &[i64]) -> Vec<Answer> {
    let answers = batch.iter().zip(positions);
    answers.map(|(append, position)| Ok(append.appended(*position))).collect()
}

fn all(batch: &[&Append], error: &AppendError) -> Vec<Answer> {
    batch.iter().map(|_| Err(error.clone())).collect()
}

fn count_refusal(error: &AppendError) {
    let reason = match error {
        AppendError::Conflict => "conflict",
        AppendError::Duplicate(_) => "duplicate",
        AppendError::Gap => "gap",
        AppendError::Rejected(_)
        | AppendError::Damaged(_)
        | AppendError::Unknown(_)
        | AppendError::Unavailable(_) => return,
    };
    metrics::counter!("gdmarket_appends_refused_total", "reason" => reason).increment(1);
}
