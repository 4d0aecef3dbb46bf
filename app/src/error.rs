//! Errors of use cases.

use gdmarket_commands::CommandError;
use gdmarket_projections::QueryError;

/// Why a request has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// The command was not executed, or it is unknown whether it was.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The data for the decision can't be read; nothing was written.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The request may be stored, but its outcome can't be read.
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
