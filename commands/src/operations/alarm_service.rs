//! The border between an item that is registered and the service that owns its alarm.
//!
//! [`AlarmService`] is all that the item's side may use. [`LocalAlarms`] is the service itself: it alone calls the
//! alarm, and writes the alarm's stream. [`RemoteAlarms`] calls it in another process, and [`AbsentAlarms`] takes its
//! place in a process that doesn't know where it is.

mod absent_alarms;
mod local_alarms;
mod remote_alarms;

pub(crate) use absent_alarms::AbsentAlarms;
pub(crate) use local_alarms::LocalAlarms;
pub(crate) use remote_alarms::RemoteAlarms;

use crate::error::{CommandError, Dependency};
use crate::executor::CommandMeta;
use crate::outside::{AlarmAnswer, CircuitBreaker, Permit};
use async_trait::async_trait;
use gdmarket_domain::ItemNo;
use std::time::Duration;

/// Where the alarms of registrations are raised.
#[async_trait]
pub(crate) trait AlarmService: Send + Sync + 'static {
    /// A permit for one alarm, taken before a number is allocated.
    fn admit(&self) -> Result<Permit, CommandError>;

    /// Raises the alarm and records it. A repeat of the same command gets the number of the first one.
    async fn raise(
        &self,
        item_no: ItemNo,
        permit: Permit,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, CommandError>;
}

fn down(retry_after: Duration, cause: impl Into<String>) -> CommandError {
    CommandError::Unavailable { what: Dependency::Alarm, retry_after, cause: cause.into() }
}

fn admit(breaker: &CircuitBreaker) -> Result<Permit, CommandError> {
    let is_open = "the circuit breaker of the alarm is open";
    breaker.admit().map_err(|open| down(open.retry_after, is_open))
}
