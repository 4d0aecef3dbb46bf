//! Demo stand-ins for the parties outside of the market, behind the traits of `gdmarket-commands`: a
//! payment gateway that keeps a ledger, and an alarm.
//!
//! A market that runs by itself is served by them. Each is as slow and as unreliable as its options
//! say, so that a demo or a test shows how the market copes with a real one.

mod alarm;
mod latency;
mod ledger;
mod payment_gateway;

pub use alarm::{InProcessAlarm, InProcessAlarmOptions};
pub use ledger::{LedgerEntry, read_ledger, take_over_ledger};
pub use payment_gateway::{InProcessGateway, InProcessGatewayOptions};
