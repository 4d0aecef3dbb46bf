//! What subscriptions are called, for those who meet their names in a database: which of them act on
//! events, and which keep a view that can be made anew.

use crate::alarm_saga::{Abandonment, AlarmSaga};
use crate::holding::Holding;
use crate::options::Options;
use crate::payment_process::PaymentProcess;
use crate::process_manager::Manager;
use crate::reservation_process::ReservationProcess;
use std::sync::Arc;

/// Every process manager of this program: the one list that loops, imports and tests go through.
pub(crate) fn tables(options: &Options) -> [Arc<dyn Manager>; 5] {
    [
        Arc::new(Holding),
        Arc::new(ReservationProcess { pay_within: options.pay_within }),
        Arc::new(PaymentProcess::new(options)),
        Arc::new(AlarmSaga),
        Arc::new(Abandonment { abandon_after: options.abandon_after }),
    ]
}

/// The subscriptions of all process managers.
pub fn managers() -> Vec<&'static str> {
    tables(&Options::default()).iter().map(|table| table.name()).collect()
}

/// Whether a subscription keeps a view, of whichever version: `item_info_v1`.
pub fn is_view(subscription: &str) -> bool {
    version(subscription).is_some()
}

/// The version of the view that a subscription keeps.
pub(crate) fn version(subscription: &str) -> Option<u32> {
    let (name, version) = subscription.rsplit_once("_v")?;
    if name.is_empty() { None } else { version.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views;

    #[test]
    fn views_and_managers_are_told_apart() {
        for view in views::all() {
            assert!(is_view(&view.subscription()), "{}", view.subscription());
            assert!(version(&view.subscription()) >= Some(1), "{}", view.subscription());
        }
        for other in managers().into_iter().chain(["_v1", "item_info_v", "item_info", ""]) {
            assert!(!is_view(other), "{other}");
        }
    }
}
