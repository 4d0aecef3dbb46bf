//! Demo implementations of the services outside of the market: behind the traits of `gdmarket-commands` a payment
//! gateway with a ledger and an alarm, and a payment provider that is a process of its own.
//!
//! Each is as slow and unreliable as its options say, so that a demo or a test shows how the market copes
//! with a real service.

mod alarm;
mod latency;
mod ledger;
mod payment_gateway;
pub mod payment_provider;

pub use alarm::{InProcessAlarm, InProcessAlarmOptions};
pub use ledger::{LedgerEntry, read_ledger, take_over_ledger};
pub use payment_gateway::{InProcessGateway, InProcessGatewayOptions};
