//! That a hold was refused. The wire name and version are literals, kept for ever.
#![expect(missing_docs, reason = "each variant is explained; its fields say themselves")]

use crate::ids::{ItemNo, ReservationNo};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

/// A fact about one reservation's hold; the hold's number is the reservation's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum HoldEvent {
    /// The item couldn't be held; `reason` is the refusal's code.
    #[serde(rename = "HoldRefused")]
    Refused { reservation_no: ReservationNo, item_no: ItemNo, reason: String },
}

impl HoldEvent {
    /// The reservation whose hold it belongs to.
    pub const fn reservation_no(&self) -> ReservationNo {
        match self {
            Self::Refused { reservation_no, .. } => *reservation_no,
        }
    }
}

impl DomainEvent for HoldEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Refused { .. } => "HoldRefused",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
