//! All views and all process managers of this program by their names, and everything that iterates over them:
//! the loops of a process, rebuilds, checks, the state of loops.

mod any_view;
mod checks;
mod projections;
#[cfg(test)]
mod reaction_tests;
mod replay;

pub use projections::Projections;
pub use replay::{Replay, differences_from_rebuild, differences_with_feeds};

use crate::inspect::loop_status::{self, LoopStatus};
use crate::processes::alarm_saga::{Abandonment, AlarmSaga};
use crate::processes::holding::Holding;
use crate::processes::options::Options;
use crate::processes::payment_process::PaymentProcess;
use crate::processes::reservation_process::ReservationProcess;
use crate::processes::step::AnyManager;
use crate::queries::QueryError;
use crate::views::alarms::Alarms;
use crate::views::items::ItemInfo;
use crate::views::payments::Payments;
use crate::views::reservations::Reservations;
use any_view::{AnyView, view};
use gdmarket_domain::{ManagerName, Services, ViewName};
use gdmarket_store::{DividedReader, Store};
use std::sync::Arc;
use std::time::Duration;

fn view_named(name: ViewName) -> Box<dyn AnyView> {
    match name {
        ViewName::ItemInfo => view::<ItemInfo>(),
        ViewName::Reservations => view::<Reservations>(),
        ViewName::Payments => view::<Payments>(),
        ViewName::Alarms => view::<Alarms>(),
    }
}

fn manager_named(name: ManagerName, options: &Options) -> Arc<AnyManager> {
    match name {
        ManagerName::Holding => Arc::new(Holding),
        ManagerName::ReservationProcess => {
            Arc::new(ReservationProcess { pay_within: options.pay_within })
        }
        ManagerName::PaymentProcess => Arc::new(PaymentProcess::new(options)),
        ManagerName::AlarmSaga => Arc::new(AlarmSaga),
        ManagerName::Abandonment => Arc::new(Abandonment { abandon_after: options.abandon_after }),
    }
}

/// The views that a process of these services keeps.
fn views_of(services: Services) -> Vec<Box<dyn AnyView>> {
    services.views().map(view_named).collect()
}

/// Every view of this program.
fn all_views() -> Vec<Box<dyn AnyView>> {
    views_of(Services::ALL)
}

/// Every process manager of this program.
fn all_managers(options: &Options) -> Vec<Arc<AnyManager>> {
    ManagerName::ALL.into_iter().map(|name| manager_named(name, options)).collect()
}

/// The subscriptions of the process managers of these services.
pub fn managers(services: Services) -> Vec<&'static str> {
    services.managers().map(ManagerName::name).collect()
}

/// The subscriptions of the process managers of these services, each with the types of the streams that it reads.
pub fn readers(services: Services) -> Vec<DividedReader> {
    let options = Options::default();
    let named = services.managers().map(|name| manager_named(name, &options));
    named
        .map(|manager| DividedReader { name: manager.name(), aggregates: manager.sources() })
        .collect()
}

/// Reads the state of every loop, twice, to measure its rate. A view of these services is listed before it is built,
/// too.
pub async fn overview(
    store: &Store,
    services: Services,
    between: Duration,
) -> Result<Vec<LoopStatus>, QueryError> {
    let known: Vec<String> = views_of(services).iter().map(|view| view.subscription()).collect();
    loop_status::overview(store, &known, between).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::{is_view, version_of};
    use gdmarket_domain::{AggregateType, MarketPart, Service};

    #[test]
    fn views_and_managers_differ_by_the_names_of_their_subscriptions() {
        for view in all_views() {
            assert!(is_view(&view.subscription()), "{}", view.subscription());
            assert!(version_of(&view.subscription()) >= Some(1), "{}", view.subscription());
        }
        for other in
            managers(Services::ALL).into_iter().chain(["_v1", "item_info_v", "item_info", ""])
        {
            assert!(!is_view(other), "{other}");
        }
    }

    #[test]
    fn views_and_managers_have_the_names_that_their_owners_are_listed_by() {
        for name in ViewName::ALL {
            assert_eq!(view_named(name).name(), name.name());
        }
        for name in ManagerName::ALL {
            assert_eq!(manager_named(name, &Options::default()).name(), name.name());
        }
    }

    #[test]
    fn sources_of_a_manager_are_its_own_service_and_those_whose_events_it_needs() {
        for name in ManagerName::ALL {
            let own = Service::of(MarketPart::Manager(name));
            let read = own.reads_events_of().union(Services::of(&[own]));
            for source in manager_named(name, &Options::default()).sources() {
                let aggregate = AggregateType::named(source).unwrap();
                let source = Service::of(MarketPart::Aggregate(aggregate));
                assert!(read.contains(source), "{name:?} reads {source}");
            }
        }
    }

    #[test]
    fn a_view_belongs_to_the_service_whose_streams_it_folds() {
        for name in ViewName::ALL {
            let aggregate = AggregateType::named(view_named(name).aggregate()).unwrap();
            let owner = Service::of(MarketPart::View(name));
            assert_eq!(owner, Service::of(MarketPart::Aggregate(aggregate)), "{name:?}");
        }
    }

    #[test]
    fn every_join_names_a_view_of_the_list() {
        let names: Vec<&str> = all_views().iter().map(|view| view.name()).collect();
        for join in all_views().iter().filter_map(|view| view.join()) {
            assert!(names.contains(&join.view), "{join:?}");
        }
    }
}
