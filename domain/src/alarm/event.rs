//! What happened to an item's alarm. Wire names and versions are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::ItemNo;
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

/// A fact about an item's alarm; the alarm's number is the item's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
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

impl AlarmEvent {
    /// The item whose alarm it belongs to.
    pub const fn item_no(&self) -> ItemNo {
        match self {
            Self::Alerted { item_no, .. }
            | Self::DeleteAlerted { item_no, .. }
            | Self::Withdrawn { item_no, .. } => *item_no,
        }
    }
}

impl DomainEvent for AlarmEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Alerted { .. } => "Alerted",
            Self::DeleteAlerted { .. } => "DeleteAlerted",
            Self::Withdrawn { .. } => "AlarmWithdrawn",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
