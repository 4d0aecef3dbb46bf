//! The outcome of a use case.

use crate::error::UseCaseError;
use gdmarket_commands::CommandError;
use std::borrow::Cow;

/// The outcome of a request to write, with the resource `R` as it is then.
#[derive(Debug, Clone)]
pub struct WriteOutcome<R> {
    /// The decision.
    pub decision: WriteDecision<R>,
    /// The position of the last event that belongs to the request; 0 without one.
    pub position: i64,
    /// Whether this is the answer of an earlier, equal request.
    pub replayed: bool,
}

/// The decision about a request.
#[derive(Debug, Clone)]
pub enum WriteDecision<R> {
    /// The request is carried out, or its state was reached already: the resource at that version.
    Done(R),
    /// Nothing is decided yet: the newest state of the resource. A repeat of the request returns the decision.
    Pending(R),
    /// The market refuses, with this code; the refusal is stable for a repeat of the request.
    Refused(Cow<'static, str>),
}

impl<R> WriteOutcome<R> {
    pub(crate) fn refused(code: impl Into<Cow<'static, str>>, replayed: bool) -> Self {
        Self { decision: WriteDecision::Refused(code.into()), position: 0, replayed }
    }

    /// Turns the refusal of a command into an outcome; other errors stay errors.
    pub(crate) fn of(result: Result<Self, UseCaseError>) -> Result<Self, UseCaseError> {
        match result {
            Err(UseCaseError::Command(CommandError::Refused { code, replayed })) => {
                Ok(Self::refused(code, replayed))
            }
            result => result,
        }
    }
}
