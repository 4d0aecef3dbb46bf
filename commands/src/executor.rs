//! Executing one command on one aggregate, whatever the aggregate is: load it, check the precondition
//! and the permission, decide, and append the events with the command's receipt.
//!
//! Every answer but a fresh success asks the receipts first: only after the load is it sure whether this
//! very command was done before. A refusal, a no-op or a stale version that was decided on a cached
//! state is decided again on the stream's tail, since nothing else refuses a stale answer. A stream that
//! isn't in memory is assumed new: what begins a stream is appended without a read, and the log's key
//! refuses it if there is one; any other decision is made again on what was read.

mod attempt;
mod command_meta;
mod decision;
mod executed;
mod numbers;
mod precondition;
mod receipts;
mod recorded_events;
mod request;
mod retry;
mod store_error;

pub use command_meta::{Causation, CommandMeta};
pub use executed::Executed;
pub use precondition::Precondition;
pub use retry::RetryOptions;

pub(crate) use executed::Execution;
pub(crate) use request::CommandRequest;

use crate::error::CommandError;
use attempt::{AttemptOutcome, Mode};
use gdmarket_domain::Decider;
use gdmarket_store::{PersonalDataTable, Store};
use retry::Retry;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;
use uuid::Uuid;

/// Executes commands over one store.
#[derive(Clone)]
pub(crate) struct Executor {
    store: Store,
    retry: Arc<RetryOptions>,
    retry_after: Duration,
}

impl Executor {
    pub(crate) fn new(store: Store, retry: RetryOptions, retry_after: Duration) -> Self {
        Self { store, retry: Arc::new(retry), retry_after }
    }

    pub(crate) const fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// Which log this is.
    pub(crate) fn log_id(&self) -> Uuid {
        self.store.identity().log_id
    }

    /// The names of persons, which are kept outside the log.
    pub(crate) fn personal_data(&self) -> &PersonalDataTable {
        self.store.personal_data()
    }

    /// The meta of a command that follows from what `executed` wrote.
    pub(crate) fn caused_by(&self, meta: CommandMeta, executed: &Executed) -> CommandMeta {
        let source = self.store.identity().to_string();
        CommandMeta { causation: Some(Causation { source, position: executed.position }), ..meta }
    }

    /// Executes the command; the same command id has one effect and one answer.
    pub(crate) async fn execute<A: Decider + 'static>(
        &self,
        request: CommandRequest<'_, A>,
    ) -> Result<Execution<A>, CommandError> {
        match self.execute_as(&request, Mode::Write).await? {
            Some(done) => Ok(done),
            None => Err(CommandError::Broken("a try that was to write did not".to_owned())),
        }
    }

    /// Executes the command if it leads to no event (a no-op or a refusal); else does nothing and
    /// returns `None`.
    pub(crate) async fn execute_unless_it_writes<A: Decider + 'static>(
        &self,
        request: CommandRequest<'_, A>,
    ) -> Result<Option<Execution<A>>, CommandError> {
        self.execute_as(&request, Mode::UnlessItWrites).await
    }

    /// Executes a command that begins a stream under a new number; `None` if the number is in use. What
    /// another command began is never taken for what this one requests.
    pub(crate) async fn begin<A: Decider + 'static>(
        &self,
        request: CommandRequest<'_, A>,
    ) -> Result<Option<Execution<A>>, CommandError> {
        self.execute_as(&request, Mode::Begin).await
    }

    async fn execute_as<A: Decider + 'static>(
        &self,
        request: &CommandRequest<'_, A>,
        mode: Mode,
    ) -> Result<Option<Execution<A>>, CommandError> {
        let (aggregate, number) = (A::TYPE, request.number);
        let span = tracing::debug_span!("command.execute", aggregate, number);
        let result = self.retried(request, mode).instrument(span).await;
        count(&result);
        result
    }

    async fn retried<A: Decider + 'static>(
        &self,
        request: &CommandRequest<'_, A>,
        mode: Mode,
    ) -> Result<Option<Execution<A>>, CommandError> {
        let mut retry = Retry::new(&self.retry);
        // Whether a command writes is only known of a state that was read.
        let mut assume_new = mode != Mode::UnlessItWrites;
        loop {
            match self.attempt(request, mode, assume_new).await? {
                AttemptOutcome::Done(done) => return Ok(Some(done)),
                AttemptOutcome::WouldWrite | AttemptOutcome::Taken => return Ok(None),
                // No other command was in the way: no pause.
                AttemptOutcome::NotNew => assume_new = false,
                AttemptOutcome::Lost => {
                    metrics::counter!("gdmarket_command_conflicts_total", "aggregate" => A::TYPE)
                        .increment(1);
                    if !retry.pause().await {
                        return Err(CommandError::Conflict { attempts: retry.attempts() });
                    }
                }
            }
        }
    }
}

/// Counts how commands end.
fn count<A: Decider>(result: &Result<Option<Execution<A>>, CommandError>) {
    let outcome = match result {
        Ok(Some(done)) if done.executed.replayed => "replayed",
        Ok(Some(done)) if done.executed.count == 0 => "no-op",
        Ok(_) => "done",
        Err(error) => error.kind(),
    };
    metrics::counter!("gdmarket_commands_total", "aggregate" => A::TYPE, "outcome" => outcome)
        .increment(1);
}
