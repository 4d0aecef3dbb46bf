//! Why a use case has no outcome.

use gdmarket_commands::CommandError;
use gdmarket_projections::QueryError;

/// A request that has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// The command was not executed, or nobody knows whether it was.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// What the decision needs can't be read; nothing was written.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The request may well be stored; what came of it can't be read.
    #[error("written, but not readable: {0}")]
    AfterWrite(#[source] QueryError),
}

impl UseCaseError {
    pub(crate) fn broken(what: &impl ToString) -> Self {
        Self::Command(CommandError::Broken(what.to_string()))
    }

    pub(crate) const fn not_found(code: &'static str) -> Self {
        Self::Command(CommandError::NotFound {
            code: std::borrow::Cow::Borrowed(code),
            replayed: false,
        })
    }
}
