//! Numbers of new streams, as the executor allocates them.

use super::Executor;
use crate::error::CommandError;
use gdmarket_store::{NumberKind, Raised};

impl Executor {
    /// Allocates the next number of this kind.
    pub(crate) async fn allocate(&self, of: NumberKind<'_>) -> Result<i64, CommandError> {
        self.store.numbers().allocate(of.kind).await.map_err(|error| self.store_error(&error))
    }

    /// A number turned out to be in use: numbers of this kind continue after the log's highest.
    pub(crate) async fn raise_numbers(&self, of: NumberKind<'_>) -> Result<(), CommandError> {
        let raised = self.store.numbers().raise(of).await;
        let raised = raised.map_err(|error| self.store_error(&error))?;
        if let Some(Raised { from, to }) = raised {
            let kind = of.kind;
            tracing::warn!(kind, from, to, "numbers were behind the log, and continue after it");
        }
        Ok(())
    }

    /// Whether the log uses this number already.
    pub(crate) async fn is_in_use(
        &self,
        of: NumberKind<'_>,
        number: i64,
    ) -> Result<bool, CommandError> {
        let is_in_use = self.store.numbers().is_in_use(of, number).await;
        is_in_use.map_err(|error| self.store_error(&error))
    }
}
