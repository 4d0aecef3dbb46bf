//! Places of requests: receiving bodies, working, and waiting have limits of their own, so that slow
//! senders and patient waiters don't keep others out. Reads have a few places of their own.

use super::addresses::{AddressUse, Bound, Place, Resource};
use crate::config;
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
pub(super) struct Held {
    places: Arc<Places>,
    address: Option<Arc<AddressUse>>,
    place: Option<Place>,
    is_waiting: bool,
}

tokio::task_local! {
    static HELD: RefCell<Held>;
}

impl Places {
    pub(super) fn new(server: &config::Server) -> Self {
        let share = server.address_share_percent;
        let reads = super::addresses::share_of(server.concurrency, READS_PERCENT);
        Self {
            reading: Bound::new(Resource::Reading, server.reading, share),
            waiting: Bound::new(Resource::Waiting, server.waiting, share),
            working: Bound::new(Resource::Working, server.concurrency, share),
            reads: Bound::new(Resource::Reads, reads, share),
        }
    }

    /// A place to work on a request; `None` if there is none.
    pub(super) fn work(
        self: &Arc<Self>,
        address: Option<Arc<AddressUse>>,
        is_read: bool,
    ) -> Option<Held> {
        let place = self.working.place(address.as_ref());
        let place =
            place.or_else(|| is_read.then(|| self.reads.place(address.as_ref())).flatten())?;
        Some(Held { places: Arc::clone(self), address, place: Some(place), is_waiting: false })
    }
}

impl Held {
    /// Runs what answers the request.
    pub(super) async fn during<F: Future>(self, answering: F) -> F::Output {
        HELD.scope(RefCell::new(self), answering).await
    }

    fn wait(&mut self) -> bool {
        if !self.is_waiting {
            let Some(place) = self.places.waiting.place(self.address.as_ref()) else {
                return false;
            };
            self.place = Some(place);
            self.is_waiting = true;
        }
        true
    }
}

/// Says that this request waits from now on: it gives its place to others that work, for one among those
/// that wait. `false` if there is none; then it must not wait.
pub(crate) fn wait() -> bool {
    // Without a place to give back nothing is limited: the handlers alone, in tests.
    HELD.try_with(|held| held.borrow_mut().wait()).unwrap_or(true)
}
