//! The commands that every candidate executes: three of one event each on a fresh item.

use gdmarket_domain::{ItemCommand, ItemNo, Money, PersonId};

/// A camera is registered, gets a higher price, and is deleted: one event per command.
pub(crate) fn lifecycle(item_no: ItemNo) -> anyhow::Result<[ItemCommand; 3]> {
    Ok([
        ItemCommand::Register {
            item_no,
            owner_id: Some(PersonId::new(7)?),
            item_name: "Camera with two lenses, a tripod and a bag; handed over at the door"
                .to_owned(),
            item_price: Money::price(10_000)?,
        },
        ItemCommand::Change { item_name: None, item_price: Some(Money::price(12_000)?) },
        ItemCommand::Delete,
    ])
}
