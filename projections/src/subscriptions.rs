//! What subscriptions are called, for those who meet their names in a database: which of them act on
//! events, and which keep a view that can be made anew.

use crate::alarm_saga::{Abandonment, AlarmSaga};
use crate::holding::Holding;
use crate::options::Options;
use crate::payment_process::PaymentProcess;
use crate::process_manager::Manager;
use crate::reservation_process::ReservationProcess;

/// The subscriptions of all process managers.
pub fn managers() -> Vec<&'static str> {
    let options = Options::default();
    let tables: [&dyn Manager; 5] = [
        &Holding,
        &ReservationProcess { pay_within: options.pay_within },
        &PaymentProcess::new(&options),
        &AlarmSaga,
        &Abandonment { abandon_after: options.abandon_after },
    ];
    tables.iter().map(|table| table.name()).collect()
}

/// Whether a subscription keeps a view, of whichever version and generation: `item_info_v1_g1`.
pub fn is_view(subscription: &str) -> bool {
    let numbered = |part: &str, mark: char| {
        part.strip_prefix(mark).is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let mut parts = subscription.rsplit('_');
    parts.next().is_some_and(|part| numbered(part, 'g'))
        && parts.next().is_some_and(|part| numbered(part, 'v'))
        && parts.next().is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projector::Projector;
    use crate::{Alarms, ItemInfo, Payments, Reservations};

    #[test]
    fn views_and_managers_are_told_apart() {
        let views = [
            Projector::<ItemInfo>::name(1),
            Projector::<Reservations>::name(12),
            Projector::<Payments>::name(0),
            Projector::<Alarms>::name(u32::MAX),
        ];
        for view in views {
            assert!(is_view(&view), "{view}");
        }
        for other in managers().into_iter().chain(["v1_g1", "item_info_v_g1", "item_info_v1", ""]) {
            assert!(!is_view(other), "{other}");
        }
    }
}
