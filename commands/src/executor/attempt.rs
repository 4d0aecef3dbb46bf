//! One try of a command: load, decide, append. What it leads to is known; whether to try again is the
//! executor's decision.

use super::decision::CommandDecision;
use super::{CommandRequest, Executed, Execution, Executor};
use crate::error::CommandError;
use cqrs_es::DomainEvent;
use gdmarket_domain::Decider;
use gdmarket_store::{Append, AppendError, Loaded, NewEvent, Receipt, ReceiptKind, StreamId};
use std::borrow::Cow;
use std::sync::Arc;

/// How one try ended.
pub(super) enum AttemptOutcome<A: Decider> {
    Done(Execution<A>),
    /// Another command appended first: the attempt is repeated on its events.
    Lost,
    /// The stream was assumed new, and isn't.
    NotNew,
    /// It would write, and was not to.
    WouldWrite,
    /// It was to begin a stream, and the stream is another command's.
    Taken,
}

/// Whether a try may write events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Write,
    UnlessItWrites,
    /// The stream must be new, or started by this very command.
    Begin,
}

impl Executor {
    pub(super) async fn attempt<A: Decider + 'static>(
        &self,
        request: &CommandRequest<'_, A>,
        mode: Mode,
        assume_new: bool,
    ) -> Result<AttemptOutcome<A>, CommandError> {
        let mut loaded = if assume_new {
            self.lock_assuming_new::<A>(request.number).await
        } else {
            self.lock::<A>(request.number).await?
        };
        let mut decision = CommandDecision::of(&loaded, request);
        if !decision.writes() && !loaded.is_current() {
            loaded.refresh().await.map_err(|error| self.store_error(&error))?;
            decision = CommandDecision::of(&loaded, request);
        }
        if mode == Mode::Begin && loaded.version() > 0 {
            return match self.receipt(request.meta).await? {
                Some(receipt) => {
                    drop(loaded);
                    self.replayed(receipt, request).await
                }
                None => Ok(AttemptOutcome::Taken),
            };
        }
        match decision {
            CommandDecision::Events(_) if mode == Mode::UnlessItWrites => {
                Ok(AttemptOutcome::WouldWrite)
            }
            CommandDecision::Events(events) => self.write(loaded, request, events).await,
            settled => self.answer(loaded, request, settled).await,
        }
    }

    /// Appends the events with the receipt.
    async fn write<A: Decider + 'static>(
        &self,
        loaded: Loaded<A>,
        request: &CommandRequest<'_, A>,
        events: Vec<A::Event>,
    ) -> Result<AttemptOutcome<A>, CommandError> {
        let append = append(&loaded, request, &events, ReceiptKind::Done)?;
        let is_assumed_new = loaded.is_assumed_new();
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
                Ok(AttemptOutcome::Done(Execution { executed, events, state }))
            }
            Err(error) => match self.append_failed(error, request).await? {
                AttemptOutcome::Lost if is_assumed_new => Ok(AttemptOutcome::NotNew),
                tried => Ok(tried),
            },
        }
    }

    /// Answers without events: as this very command was answered before, else as it was decided
    /// now. Under a client's key the answer is kept, so that a repeat gets the same one.
    async fn answer<A: Decider + 'static>(
        &self,
        loaded: Loaded<A>,
        request: &CommandRequest<'_, A>,
        decision: CommandDecision<A>,
    ) -> Result<AttemptOutcome<A>, CommandError> {
        if let Some(receipt) = self.receipt(request.meta).await? {
            drop(loaded);
            return self.replayed(receipt, request).await;
        }
        let (version, state) = (loaded.version(), Arc::clone(loaded.state()));
        if let Some(kind) = decision.receipt(request.meta) {
            let append = append(&loaded, request, &[], kind)?;
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
        Ok(AttemptOutcome::Done(Execution { executed, events: Vec::new(), state }))
    }

    /// What a failed append means: the command was done before, others were faster, or the outcome is
    /// unknown.
    async fn append_failed<A: Decider + 'static>(
        &self,
        error: AppendError,
        request: &CommandRequest<'_, A>,
    ) -> Result<AttemptOutcome<A>, CommandError> {
        match error {
            AppendError::Duplicate(receipt) => self.replayed(receipt, request).await,
            AppendError::Conflict | AppendError::Gap => match self.receipt(request.meta).await? {
                Some(receipt) => self.replayed(receipt, request).await,
                None => Ok(AttemptOutcome::Lost),
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
        request: &CommandRequest<'_, A>,
    ) -> Result<AttemptOutcome<A>, CommandError> {
        // The same id may have gone to one of two streams: that of the deed, or that of its refusal.
        let is_elsewhere = receipt.stream.kind != A::TYPE;
        let executed = self.replay(receipt, request.meta).await?;
        let state =
            if is_elsewhere { Arc::default() } else { self.fresh::<A>(executed.number).await? };
        Ok(AttemptOutcome::Done(Execution { executed, events: Vec::new(), state }))
    }
}

/// The append of these events, or without events of the receipt alone.
fn append<A: Decider + 'static>(
    loaded: &Loaded<A>,
    request: &CommandRequest<'_, A>,
    events: &[A::Event],
    kind: ReceiptKind,
) -> Result<Append, CommandError> {
    let broken = |error: serde_json::Error| CommandError::Broken(error.to_string());
    let events = events
        .iter()
        .map(|event| {
            Ok(NewEvent {
                event_type: event.event_type(),
                event_version: event.event_version(),
                payload: serde_json::to_string(event).map_err(broken)?,
            })
        })
        .collect::<Result<Vec<_>, CommandError>>()?;
    // An answer without events contains no personal data.
    let personal = request.personal.clone().filter(|_| !events.is_empty());
    Ok(Append {
        command_id: request.meta.command_id,
        fingerprint: request.meta.fingerprint.clone(),
        stream: StreamId { kind: Cow::Borrowed(A::TYPE), number: request.number },
        expected: loaded.version(),
        events,
        metadata: request.meta.to_json(request.note).map_err(broken)?,
        kind,
        personal,
    })
}
