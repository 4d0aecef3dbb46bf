//! The alarm as the market sees it: it is raised for a registration before the item exists.
//!
//! Raising it twice for one item is harmless; the durable fact is the alarm's own stream.

use async_trait::async_trait;
use gdmarket_domain::ItemNo;

/// The alarm could not be raised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the alarm is down: {0}")]
pub struct AlarmDown(pub String);

/// Alerts the operators of the market that an item is about to be registered.
#[async_trait]
pub trait AlarmSender: Send + Sync + 'static {
    /// Raises the alarm for this item; safe to repeat.
    async fn alert(&self, item_no: ItemNo) -> Result<(), AlarmDown>;
}
