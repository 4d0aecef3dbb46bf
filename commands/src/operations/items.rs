//! What owners do with their items. Registering, which raises the alarm first, is in `registration.rs`.

use crate::error::CommandError;
use crate::executor::{CommandMeta, CommandRequest, Executed};
use crate::operations::commands::Commands;
use chrono::NaiveDate;
use gdmarket_domain::{
    Item, ItemCommand, ItemError, ItemEvent, ItemNo, Money, PersonId, Refusal as _, RentalPeriod,
    ReservationNo,
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

/// How an item is to be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lending {
    /// The reservation that it is handed over for; absent: the only one that holds the item.
    pub reservation_no: Option<ReservationNo>,
    /// The day in the market's time zone.
    pub today: NaiveDate,
    /// Whether a client's key remembers the refusal `not-paid`, as it remembers a final one: the caller
    /// knows that no payment is on its way. Otherwise a repeat is decided again.
    pub remember_transient_refusal: bool,
}

/// The result of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredItem {
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
    ) -> Result<RegisteredItem, CommandError> {
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

    /// Makes days available again.
    pub async fn unblock_period(
        &self,
        item_no: ItemNo,
        period: RentalPeriod,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.item(item_no, ItemCommand::UnblockPeriod { period }, meta).await
    }

    /// Hands the item over.
    pub async fn lend_item(
        &self,
        item_no: ItemNo,
        lending: Lending,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        let Lending { reservation_no, today, remember_transient_refusal } = lending;
        let meta = meta.clone();
        self.run(move |inner| async move {
            let command = ItemCommand::Lend { reservation_no, today };
            let mut request = CommandRequest::<Item>::new(item_no.get(), &command, &meta);
            request.remember_transient_refusal =
                remember_transient_refusal.then_some(ItemError::NotPaid.code());
            Ok(inner.executor.execute(request).await?.executed)
        })
        .await
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
