//! What owners do with their items. Registering, which rings the alarm first, is next door in
//! `registration.rs`.

use crate::error::CommandError;
use crate::executor::{CommandMeta, Executed};
use crate::operations::commands::Commands;
use chrono::NaiveDate;
use gdmarket_domain::{
    Item, ItemCommand, ItemEvent, ItemNo, Money, PersonId, RentalPeriod, ReservationNo,
};

/// An item to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    /// Whose it is; the operator's if absent.
    pub owner_id: Option<PersonId>,
    /// What it is called.
    pub item_name: String,
    /// What one day costs.
    pub item_price: Money,
}

/// What a registration came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What it did to the item.
    pub executed: Executed,
    /// The event that the item begins with; none if this is the answer of an earlier, equal request.
    pub event: Option<ItemEvent>,
}

impl Commands {
    /// Registers an item under a new number, after its alarm was raised. Without the alarm there is
    /// no item: [`CommandError::Unavailable`].
    pub async fn register_item(
        &self,
        item: NewItem,
        meta: &CommandMeta,
    ) -> Result<Registered, CommandError> {
        let meta = meta.clone();
        self.run(move |inner| async move { inner.register(&item, &meta).await }).await
    }

    /// Changes name or price for reservations from now on; what is absent stays.
    pub async fn change_item(
        &self,
        item_no: ItemNo,
        item_name: Option<String>,
        item_price: Option<Money>,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.item(item_no, ItemCommand::Change { item_name, item_price }, meta).await
    }

    /// Takes the item off the market.
    pub async fn delete_item(
        &self,
        item_no: ItemNo,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.item(item_no, ItemCommand::Delete, meta).await
    }

    /// Keeps days back.
    pub async fn block_period(
        &self,
        item_no: ItemNo,
        period: RentalPeriod,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.item(item_no, ItemCommand::BlockPeriod { period }, meta).await
    }

    /// Gives days free again.
    pub async fn unblock_period(
        &self,
        item_no: ItemNo,
        period: RentalPeriod,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.item(item_no, ItemCommand::UnblockPeriod { period }, meta).await
    }

    /// Hands the item over; without a reservation's number the only hold is meant. `today` is the
    /// day in the market's time zone.
    pub async fn lend_item(
        &self,
        item_no: ItemNo,
        reservation_no: Option<ReservationNo>,
        today: NaiveDate,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.item(item_no, ItemCommand::Lend { reservation_no, today }, meta).await
    }

    /// Takes the item back; without a reservation's number the only rental is meant.
    pub async fn return_item(
        &self,
        item_no: ItemNo,
        reservation_no: Option<ReservationNo>,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.item(item_no, ItemCommand::Return { reservation_no }, meta).await
    }

    async fn item(
        &self,
        item_no: ItemNo,
        command: ItemCommand,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.execute::<Item>(item_no.get(), command, meta).await
    }
}
