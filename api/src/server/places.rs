//! Places of requests: receiving bodies, working and waiting have limits of their own, so that slow senders
//! and long waits don't keep other requests out. Reads have a few places in addition.

use super::addresses::{AddressUse, Bound, LimitedResource, Place};
use crate::http_options::HttpOptions;
use crate::problem::{Problem, kind};
use std::cell::RefCell;
use std::sync::Arc;

/// How many places reads have in addition, as a share of all places to work.
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
            reading: Bound::new(LimitedResource::Reading, options.reading, share),
            waiting: Bound::new(LimitedResource::Waiting, options.waiting, share),
            working: Bound::new(LimitedResource::Working, options.concurrency, share),
            reads: Bound::new(LimitedResource::Reads, reads, share),
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
    /// Holds the place while the request is answered.
    pub(super) async fn during<F: Future>(self, answering: F) -> F::Output {
        CURRENT_PLACE.scope(RefCell::new(self), answering).await
    }

    fn try_begin_waiting(&mut self) -> bool {
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

/// Marks this request as waiting: it exchanges its place to work for a place to wait. `false` if there is
/// none; then the request must not wait.
pub(crate) fn try_begin_waiting() -> bool {
    // Handlers that run without the pipeline, in tests, hold no place and have no limit.
    CURRENT_PLACE.try_with(|held| held.borrow_mut().try_begin_waiting()).unwrap_or(true)
}
