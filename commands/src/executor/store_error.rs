//! What the store's errors mean to the caller that sent a command.

use super::Executor;
use crate::error::{CommandError, Dependency};
use gdmarket_store::StoreError;

impl Executor {
    /// The error of the command that met this error of the store.
    pub(super) fn store_error(&self, error: &StoreError) -> CommandError {
        match error {
            StoreError::Unavailable(_)
            | StoreError::Closed
            | StoreError::Conflict(_)
            | StoreError::OtherLog(_)
            | StoreError::Storage { .. }
            | StoreError::Server { .. } => self.unavailable(error.to_string()),
            StoreError::Newer => CommandError::NewerEvent,
            StoreError::Rejected(why) => CommandError::Rejected(why.clone()),
            StoreError::Damaged(_) | StoreError::Corrupt(_) => {
                CommandError::Damaged(error.to_string())
            }
            error => CommandError::Broken(error.to_string()),
        }
    }

    pub(super) fn unavailable(&self, cause: String) -> CommandError {
        CommandError::Unavailable { what: Dependency::Store, retry_after: self.retry_after, cause }
    }
}
