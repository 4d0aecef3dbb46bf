//! The use cases of owners.

mod hand_over;
mod register;

use crate::context::WriteContext;
use crate::error::UseCaseError;
use crate::outcome::{WriteDecision, WriteOutcome};
use crate::use_cases::UseCases;
use gdmarket_commands::Executed;
use gdmarket_domain::{ItemNo, Money, RentalPeriod};
use gdmarket_projections::FoundItem;

/// A change of an item; absent fields keep their values.
#[derive(Debug, Clone)]
pub struct ItemChange {
    /// The new name.
    pub item_name: Option<String>,
    /// The new price of one day.
    pub item_price: Option<Money>,
}

impl UseCases {
    /// Changes the name or the price of an item, for reservations from now on.
    pub async fn change_item(
        &self,
        no: ItemNo,
        change: ItemChange,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let ItemChange { item_name, item_price } = change;
        let changed = self.commands.change_item(no, item_name, item_price, &context.meta).await;
        self.item_outcome(no, changed.map_err(UseCaseError::from), context).await
    }

    /// Takes an item off the market.
    pub async fn delete_item(
        &self,
        no: ItemNo,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let deleted = self.commands.delete_item(no, &context.meta).await;
        self.item_outcome(no, deleted.map_err(UseCaseError::from), context).await
    }

    /// Keeps days back from renters.
    pub async fn block_period(
        &self,
        no: ItemNo,
        period: RentalPeriod,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let blocked = self.commands.block_period(no, period, &context.meta).await;
        self.item_outcome(no, blocked.map_err(UseCaseError::from), context).await
    }

    /// Frees days that were kept back.
    pub async fn unblock_period(
        &self,
        no: ItemNo,
        period: RentalPeriod,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let unblocked = self.commands.unblock_period(no, period, &context.meta).await;
        self.item_outcome(no, unblocked.map_err(UseCaseError::from), context).await
    }

    /// The outcome of a command that the item decides by itself.
    async fn item_outcome(
        &self,
        no: ItemNo,
        executed: Result<Executed, UseCaseError>,
        context: &WriteContext,
    ) -> Result<WriteOutcome<FoundItem>, UseCaseError> {
        let outcome = async {
            let Executed { version, position, replayed, .. } = executed?;
            self.settle_views(position, context).await;
            let item = self.written_item(no, version).await?;
            Ok(WriteOutcome { decision: WriteDecision::Done(item), position, replayed })
        };
        WriteOutcome::of(outcome.await)
    }
}
