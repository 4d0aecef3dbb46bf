//! The payload of a deadline's row, and the blocked deadlines of a manager.

use crate::engine::subscription::BlockedWork;
use gdmarket_store::{Deadlines, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The payload of a deadline's row: the cause, and the manager's own data.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadlinePayload {
    pub(super) correlation_id: Uuid,
    pub(super) position: i64,
    pub(super) traceparent: Option<String>,
    pub(super) data: Value,
}

impl DeadlinePayload {
    /// The payload of a deadline that is due again: the same cause with new data.
    pub(super) fn with_data(payload: &str, data: &Value) -> Option<String> {
        let mut payload: Self = serde_json::from_str(payload).ok()?;
        payload.data = data.clone();
        serde_json::to_string(&payload).ok()
    }
}

/// The deadlines of a manager that are blocked.
pub(crate) async fn blocked_deadlines(
    deadlines: &Deadlines,
    manager: &str,
) -> Result<BlockedWork, StoreError> {
    let all = deadlines.blocked(Some(manager)).await?;
    let first = all.iter().map(|blocked| cause_position(&blocked.payload)).min();
    Ok(BlockedWork { count: all.len(), first })
}

/// The position of the event that set a deadline; 0 if its row can't be read.
pub fn cause_position(payload: &str) -> i64 {
    serde_json::from_str::<DeadlinePayload>(payload).map_or(0, |payload| payload.position)
}
