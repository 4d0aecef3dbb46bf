//! What can go wrong when views are asked, by what the caller can do about it.

use gdmarket_store::StoreError;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The database doesn't answer now: the same again later.
    #[error("the views can't be read now: {0}")]
    Unavailable(String),
    /// The stream was written by a newer program.
    #[error("the stream was written by a newer program: {0}")]
    Newer(String),
    /// The stream or row can't be read; its view says so too.
    #[error("the data can't be read: {0}")]
    Broken(String),
    /// The database is damaged where this would be read; the same again finds it again.
    #[error("{0}")]
    Damaged(String),
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Broken(what),
            StoreError::Damaged(_) => Self::Damaged(error.to_string()),
            StoreError::Newer => Self::Newer(error.to_string()),
            // A view's table that isn't there yet is made as soon as the database answers.
            StoreError::Unavailable(_)
            | StoreError::Closed
            | StoreError::OtherLog(_)
            | StoreError::Storage { .. }
            | StoreError::LogMissing(_)
            | StoreError::ForeignWal(_)
            | StoreError::Server { .. }
            | StoreError::Schema(_)
            | StoreError::Conflict(_)
            | StoreError::Rejected(_)
            | StoreError::TooNew { .. }
            | StoreError::NeedsMigration { .. }
            | StoreError::Locked(_)
            | StoreError::Misconfigured(_) => Self::Unavailable(error.to_string()),
        }
    }
}
