//! What happened to an item's alarm. Wire names are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::event_names::events;
use crate::ids::ItemNo;

events! {
    /// A fact about an item's alarm; the alarm's number is the item's.
    #[stream(item_no: ItemNo)]
    pub enum AlarmEvent {
        /// The registration was announced, before the item was registered.
        #[serde(rename = "Alerted")]
        Alerted { item_no: ItemNo },
        /// The deletion was announced.
        #[serde(rename = "DeleteAlerted")]
        DeleteAlerted { item_no: ItemNo },
        /// The registration never came: the alarm is taken back.
        #[serde(rename = "AlarmWithdrawn")]
        Withdrawn { item_no: ItemNo },
    }
}
