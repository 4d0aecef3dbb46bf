//! A saga in the course of its events: its next steps, each with the time since which it waits.

use super::announcement::Announcement;
use super::next_step::{NextStep, SagaParts};
use super::rental::Rental;
use super::saga_key::SagaKey;
use gdmarket_domain::{ItemNo, MarketEvent, ReservationNo, Services};

/// A step that a saga waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenStep {
    pub(super) next: NextStep,
    /// When the event was recorded that it follows, in microseconds.
    pub(super) since: i64,
}

/// A saga of either kind.
#[derive(Debug, Clone)]
enum SagaState {
    Rental(ReservationNo, Box<Rental>),
    Announcement(ItemNo, Announcement),
}

/// A saga with its next steps after the events so far.
#[derive(Debug, Clone)]
pub(super) struct OpenSaga {
    state: SagaState,
    steps: Vec<OpenStep>,
}

impl OpenSaga {
    /// A saga without any event.
    pub(super) fn new(key: SagaKey) -> Self {
        let state = match key {
            SagaKey::Reservation(no) => SagaState::Rental(no, Box::default()),
            SagaKey::Item(no) => SagaState::Announcement(no, Announcement::default()),
        };
        Self { state, steps: vec![] }
    }

    /// Applies an event that was recorded at this time; a step that was open before keeps its own time.
    pub(super) fn apply(&mut self, event: MarketEvent, recorded_at: i64, seen: Services) {
        let next = match &mut self.state {
            SagaState::Rental(_, rental) => {
                rental.apply(event);
                rental.next_steps(seen)
            }
            SagaState::Announcement(_, announcement) => {
                announcement.apply(event);
                announcement.next_steps(seen)
            }
        };
        let since = |next: &NextStep| self.steps.iter().find(|open| open.next == *next);
        let open = |next: NextStep| OpenStep {
            since: since(&next).map_or(recorded_at, |open| open.since),
            next,
        };
        self.steps = next.into_iter().map(open).collect();
    }

    pub(super) fn is_open(&self) -> bool {
        !self.steps.is_empty()
    }

    pub(super) fn steps(&self) -> &[OpenStep] {
        &self.steps
    }

    pub(super) fn parts(&self, seen: Services) -> SagaParts {
        match &self.state {
            SagaState::Rental(no, rental) => rental.parts(*no, seen),
            SagaState::Announcement(no, announcement) => announcement.parts(*no),
        }
    }

    /// The rental, if it is one.
    pub(super) const fn rental(&self) -> Option<&Rental> {
        match &self.state {
            SagaState::Rental(_, rental) => Some(rental),
            SagaState::Announcement(..) => None,
        }
    }
}
