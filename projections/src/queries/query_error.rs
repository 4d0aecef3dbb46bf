//! Errors of queries, by the action that they ask of the caller.

use gdmarket_store::StoreError;

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The database doesn't answer: try again later.
    #[error("the views can't be read now: {0}")]
    Unavailable(String),
    /// The stream was written by a newer program.
    #[error("the stream was written by a newer program: {0}")]
    Newer(String),
    /// The stream or row can't be read; the row of its view is stale.
    #[error("the data can't be read: {0}")]
    Broken(String),
    /// The database is damaged where the data is stored; trying again doesn't help.
    #[error("{0}")]
    Damaged(String),
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Broken(what),
            StoreError::Damaged(_) => Self::Damaged(error.to_string()),
            StoreError::Newer => Self::Newer(error.to_string()),
            // A missing table of a view is created as soon as the database answers.
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
