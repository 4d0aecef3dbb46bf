//! What must be right at the end of a run, whatever failed meanwhile: rules over the events of any number of logs, the
//! books of the payment provider, and the views. Each returns its violations, one sentence each.

mod alarms;
mod holds;
mod money;
mod open_sagas;
mod order;
mod subscriptions;
mod views;

pub use alarms::alarm_violations;
pub use holds::hold_violations;
pub use money::{
    Attempt, ProviderEntry, assert_detects_wrong_charges, attempts, charge_errors, closed, unpaid,
};
pub use open_sagas::open_sagas;
pub use order::order_violations;
pub use subscriptions::unfinished_subscriptions;
pub use views::{all_resources, difference};
