//! The one way of every command: load, `If-Match`, permission, decide, append with its receipt.
//!
//! Whatever isn't a fresh success asks the receipts first: only after the load is it sure whether
//! this very command was done before. A refusal, a no-op or a stale version that was decided on a
//! cached state is decided again on the stream's tail, since nothing else refuses a stale answer.
//! A stream that isn't in memory is first taken for new: what begins a stream is appended without a
//! read, and the log's key refuses it if there is one; whatever else is decided is decided again.

mod log;
mod outcome;

use crate::error::CommandError;
use crate::meta::{CommandMeta, Executed};
use crate::options::RetryOptions;
use crate::retry::Retry;
use gdmarket_domain::Decider;
use gdmarket_store::{AppendError, Loaded, PersonalData, Receipt, ReceiptKind, Store};
use outcome::Decision;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// Executes commands over one store.
#[derive(Clone)]
pub(crate) struct Executor {
    pub(crate) store: Store,
    retry: Arc<RetryOptions>,
    retry_after: Duration,
}

/// One command on its way.
pub(crate) struct Request<'a, A: Decider> {
    pub(crate) number: i64,
    pub(crate) command: &'a A::Command,
    pub(crate) meta: &'a CommandMeta,
    /// What is kept with the events, outside the log.
    pub(crate) personal: Option<PersonalData>,
    /// Why somebody asked for it, kept with the events.
    pub(crate) note: Option<&'a str>,
}

impl<'a, A: Decider> Request<'a, A> {
    pub(crate) const fn new(number: i64, command: &'a A::Command, meta: &'a CommandMeta) -> Self {
        Self { number, command, meta, personal: None, note: None }
    }
}

/// What a command did. After a replay there are no events here; the log has them.
pub(crate) struct Done<A: Decider> {
    pub(crate) executed: Executed,
    pub(crate) events: Vec<A::Event>,
    /// The state with the command's events applied, or as it is found now.
    pub(crate) state: Arc<A>,
}

/// How one try ended.
enum Tried<A: Decider> {
    Done(Done<A>),
    /// Somebody else was faster; the same again on what they wrote.
    Lost,
    /// The stream was taken for new, and isn't.
    NotNew,
    /// It would write, and was not to.
    WouldWrite,
    /// It was to begin a stream, and the stream is another command's.
    Taken,
}

/// Whether a try may write events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    UnlessItWrites,
    /// The stream must be new, or begun by this very command.
    Begin,
}

impl Executor {
    pub(crate) fn new(store: Store, retry: RetryOptions, retry_after: Duration) -> Self {
        Self { store, retry: Arc::new(retry), retry_after }
    }

    pub(crate) const fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// Executes the command; the same command id has one effect and one answer.
    pub(crate) async fn execute<A: Decider + 'static>(
        &self,
        request: Request<'_, A>,
    ) -> Result<Done<A>, CommandError> {
        match self.execute_as(&request, Mode::Write).await? {
            Some(done) => Ok(done),
            None => Err(CommandError::Broken("a try that was to write did not".to_owned())),
        }
    }

    /// Executes the command if it leads to no event (a no-op or a refusal); else does nothing and
    /// says `None`.
    pub(crate) async fn execute_unless_it_writes<A: Decider + 'static>(
        &self,
        request: Request<'_, A>,
    ) -> Result<Option<Done<A>>, CommandError> {
        self.execute_as(&request, Mode::UnlessItWrites).await
    }

    /// Executes a command that begins a stream under a new number; `None` if the number is in use. What another
    /// command began is never taken for what this one asks for.
    pub(crate) async fn begin<A: Decider + 'static>(
        &self,
        request: Request<'_, A>,
    ) -> Result<Option<Done<A>>, CommandError> {
        self.execute_as(&request, Mode::Begin).await
    }

    async fn execute_as<A: Decider + 'static>(
        &self,
        request: &Request<'_, A>,
        mode: Mode,
    ) -> Result<Option<Done<A>>, CommandError> {
        let (aggregate, number) = (A::TYPE, request.number);
        let span = tracing::debug_span!("command.execute", aggregate, number);
        let result = self.retried(request, mode).instrument(span).await;
        outcome::count(&result);
        result
    }

    async fn retried<A: Decider + 'static>(
        &self,
        request: &Request<'_, A>,
        mode: Mode,
    ) -> Result<Option<Done<A>>, CommandError> {
        let mut retry = Retry::new(&self.retry);
        // Whether it would write is only known of a state that was looked at.
        let mut unread = mode != Mode::UnlessItWrites;
        loop {
            match self.attempt(request, mode, unread).await {
                Ok(Tried::Done(done)) => return Ok(Some(done)),
                Ok(Tried::WouldWrite | Tried::Taken) => return Ok(None),
                // Nobody was in the way: no pause.
                Ok(Tried::NotNew) => unread = false,
                Ok(Tried::Lost) => {
                    metrics::counter!("gdmarket_command_conflicts_total", "aggregate" => A::TYPE)
                        .increment(1);
                    if !retry.pause().await {
                        return Err(CommandError::Conflict { attempts: retry.attempts() });
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt<A: Decider + 'static>(
        &self,
        request: &Request<'_, A>,
        mode: Mode,
        unread: bool,
    ) -> Result<Tried<A>, CommandError> {
        let mut loaded = if unread {
            self.lock_unread::<A>(request.number).await
        } else {
            self.lock::<A>(request.number).await?
        };
        let mut decision = Decision::of(&loaded, request);
        if !decision.writes() && !loaded.is_current() {
            loaded.refresh().await.map_err(|error| self.store_error(&error))?;
            decision = Decision::of(&loaded, request);
        }
        if mode == Mode::Begin && loaded.version() > 0 {
            return match self.receipt(request.meta).await? {
                Some(receipt) => {
                    drop(loaded);
                    self.replayed(receipt, request).await
                }
                None => Ok(Tried::Taken),
            };
        }
        match decision {
            Decision::Events(_) if mode == Mode::UnlessItWrites => Ok(Tried::WouldWrite),
            Decision::Events(events) => self.write(loaded, request, events).await,
            settled => self.answer(loaded, request, settled).await,
        }
    }

    /// Appends the events with the receipt.
    async fn write<A: Decider + 'static>(
        &self,
        loaded: Loaded<A>,
        request: &Request<'_, A>,
        events: Vec<A::Event>,
    ) -> Result<Tried<A>, CommandError> {
        let append = outcome::append(&loaded, request, &events, ReceiptKind::Done)?;
        let is_taken_for_new = loaded.is_taken_for_new();
        match loaded.append_events(append, events.clone()).await {
            Ok((appended, state)) => {
                let executed = Executed {
                    number: request.number,
                    version: appended.first_sequence + appended.count - 1,
                    first_sequence: appended.first_sequence,
                    count: appended.count,
                    position: appended.position,
                    replayed: false,
                };
                Ok(Tried::Done(Done { executed, events, state }))
            }
            Err(error) => match self.append_failed(error, request).await? {
                Tried::Lost if is_taken_for_new => Ok(Tried::NotNew),
                tried => Ok(tried),
            },
        }
    }

    /// Answers without events: as this very command was answered before, else as it was decided
    /// now. Under a client's key the answer is kept, so that a repeat is told the same.
    async fn answer<A: Decider + 'static>(
        &self,
        loaded: Loaded<A>,
        request: &Request<'_, A>,
        decision: Decision<A>,
    ) -> Result<Tried<A>, CommandError> {
        if let Some(receipt) = self.receipt(request.meta).await? {
            drop(loaded);
            return self.replayed(receipt, request).await;
        }
        let (version, state) = (loaded.version(), Arc::clone(loaded.state()));
        if let Some(kind) = decision.receipt(request.meta) {
            let append = outcome::append(&loaded, request, &[], kind)?;
            if let Err(error) = loaded.append_events(append, Vec::new()).await {
                return self.append_failed(error, request).await;
            }
        } else {
            self.store.confirm_log().await.map_err(|error| self.store_error(&error))?;
        }
        decision.into_error()?;
        let executed = Executed {
            number: request.number,
            version,
            first_sequence: 0,
            count: 0,
            position: 0,
            replayed: false,
        };
        Ok(Tried::Done(Done { executed, events: Vec::new(), state }))
    }

    /// What a failed append means: it was done before, others were faster, or nobody knows.
    async fn append_failed<A: Decider + 'static>(
        &self,
        error: AppendError,
        request: &Request<'_, A>,
    ) -> Result<Tried<A>, CommandError> {
        match error {
            AppendError::Duplicate(receipt) => self.replayed(receipt, request).await,
            AppendError::Conflict | AppendError::Gap => match self.receipt(request.meta).await? {
                Some(receipt) => self.replayed(receipt, request).await,
                None => Ok(Tried::Lost),
            },
            AppendError::Rejected(why) => Err(CommandError::Rejected(why)),
            error @ AppendError::Damaged(_) => Err(CommandError::Damaged(error.to_string())),
            AppendError::Unknown(cause) => Err(CommandError::OutcomeUnknown { cause }),
            AppendError::Unavailable(why) => Err(self.unavailable(why)),
        }
    }

    async fn replayed<A: Decider + 'static>(
        &self,
        receipt: Receipt,
        request: &Request<'_, A>,
    ) -> Result<Tried<A>, CommandError> {
        // An id may stand for one of two streams: a hold or its refusal.
        let is_elsewhere = receipt.stream.kind != A::TYPE;
        let executed = self.replay(receipt, request.meta).await?;
        let state =
            if is_elsewhere { Arc::default() } else { self.fresh::<A>(executed.number).await? };
        Ok(Tried::Done(Done { executed, events: Vec::new(), state }))
    }
}
