//! Places of requests: receiving bodies, working, and waiting have limits of their own, so that slow
//! senders and patient waiters don't keep others out. Reads have a few places of their own.

use super::addresses::{AddressUse, Bound, Place, Resource};
use crate::http_options::HttpOptions;
use crate::problem::{Problem, kind};
use std::cell::RefCell;
use std::sync::Arc;

/// The share of all places that reads have in addition.
const READS_PERCENT: usize = 25;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) reading: Bound,
    waiting: Bound,
    working: Bound,
    reads: Bound,
}

/// The place of one request, while it is answered.
#[derive(Debug)]
pub(super) struct HeldPlace {
    places: Arc<Places>,
    address: Option<Arc<AddressUse>>,
    place: Option<Place>,
    is_waiting: bool,
    level: Level,
}

/// Requests that hold a place to work.
const WORKING: &str = "gdmarket_http_requests_in_flight";
/// Requests that hold a place to wait.
const WAITING: &str = "gdmarket_http_requests_waiting";

/// A request in a gauge, until it is dropped.
#[derive(Debug)]
struct Level(metrics::Gauge);

impl Level {
    fn of(name: &'static str) -> Self {
        let gauge = metrics::gauge!(name);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The answer to a request that finds no place.
pub(crate) fn overloaded() -> Problem {
    metrics::counter!("gdmarket_http_shed_total").increment(1);
    Problem::new(&kind::OVERLOADED)
}

tokio::task_local! {
    static CURRENT_PLACE: RefCell<HeldPlace>;
}

impl Places {
    pub(super) fn new(options: &HttpOptions) -> Self {
        let share = options.address_share_percent;
        let reads = super::addresses::share_of(options.concurrency, READS_PERCENT);
        Self {
            reading: Bound::new(Resource::Reading, options.reading, share),
            waiting: Bound::new(Resource::Waiting, options.waiting, share),
            working: Bound::new(Resource::Working, options.concurrency, share),
            reads: Bound::new(Resource::Reads, reads, share),
        }
    }

    /// A place to work on a request; `None` if there is none.
    pub(super) fn work(
        self: &Arc<Self>,
        address: Option<Arc<AddressUse>>,
        is_read: bool,
    ) -> Option<HeldPlace> {
        let place = self.working.place(address.as_ref());
        let place =
            place.or_else(|| is_read.then(|| self.reads.place(address.as_ref())).flatten())?;
        let (places, level) = (Arc::clone(self), Level::of(WORKING));
        Some(HeldPlace { places, address, place: Some(place), is_waiting: false, level })
    }
}

impl HeldPlace {
    /// Runs what answers the request.
    pub(super) async fn during<F: Future>(self, answering: F) -> F::Output {
        CURRENT_PLACE.scope(RefCell::new(self), answering).await
    }

    fn wait(&mut self) -> bool {
        if !self.is_waiting {
            let Some(place) = self.places.waiting.place(self.address.as_ref()) else {
                metrics::counter!("gdmarket_http_waits_refused_total").increment(1);
                return false;
            };
            self.place = Some(place);
            self.level = Level::of(WAITING);
            self.is_waiting = true;
        }
        true
    }
}

/// Says that this request waits from now on: it gives its place to others that work, for one among those
/// that wait. `false` if there is none; then it must not wait.
pub(crate) fn wait() -> bool {
    // Without a place to give back nothing is limited: the handlers alone, in tests.
    CURRENT_PLACE.try_with(|held| held.borrow_mut().wait()).unwrap_or(true)
}
