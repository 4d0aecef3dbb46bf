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
        let highest = self.highest_in_use(of).await?;
        self.raise_numbers_to(of, highest).await
    }

    /// Numbers of this kind continue after `highest`, which this log or another service's uses.
    pub(crate) async fn raise_numbers_to(
        &self,
        of: NumberKind<'_>,
        highest: i64,
    ) -> Result<(), CommandError> {
        let raised = self.store.numbers().raise_to(of.kind, highest).await;
        let raised = raised.map_err(|error| self.store_error(&error))?;
        if let Some(Raised { from, to }) = raised {
            let kind = of.kind;
            tracing::warn!(kind, from, to, "numbers were behind the log, and continue after it");
        }
        Ok(())
    }

    /// The highest number of this kind that the log uses; 0 if it uses none.
    pub(crate) async fn highest_in_use(&self, of: NumberKind<'_>) -> Result<i64, CommandError> {
        let highest = self.store.numbers().highest_in_use(of).await;
        highest.map_err(|error| self.store_error(&error))
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
