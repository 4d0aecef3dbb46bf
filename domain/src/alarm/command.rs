//! The commands of an item's alarm.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::ItemNo;

/// A request to one item's alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmCommand {
    /// Announce a registration.
    RaiseRegistration { item_no: ItemNo },
    /// Announce a deletion.
    RaiseDeletion { item_no: ItemNo },
    /// Take the announcement of an abandoned registration back.
    Withdraw { item_no: ItemNo },
}
