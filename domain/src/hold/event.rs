//! That a hold was refused. The wire name is a literal, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::event_names::events;
use crate::ids::{ItemNo, ReservationNo};

events! {
    /// A fact about one reservation's hold; the hold's number is the reservation's.
    #[stream(reservation_no: ReservationNo)]
    pub enum HoldEvent {
        /// The item couldn't be held; `reason` is the refusal's code.
        #[serde(rename = "HoldRefused")]
        Refused { reservation_no: ReservationNo, item_no: ItemNo, reason: String },
    }
}
