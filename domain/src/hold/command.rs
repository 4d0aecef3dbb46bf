//! The commands of a reservation's refused hold.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::{ItemNo, ReservationNo};

/// A request to one reservation's refused hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldCommand {
    /// Write down that the item couldn't be held; `reason` is the refusal's code.
    Refuse { reservation_no: ReservationNo, item_no: ItemNo, reason: String },
}
