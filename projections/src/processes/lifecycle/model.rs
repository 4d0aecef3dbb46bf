//! The model of the market: the aggregates' decisions, the managers' tables, and one reservation's part of a
//! state. People, process managers and the payment side each add their steps to it.

use super::decisions::Decisions;
use super::fixtures::{Id, reservation_no};
use super::left_out::LeftOut;
use super::request_state::{Line, RequestState};
use super::tables::{Events, Tables};
use gdmarket_domain::{Hold, Item, MarketEvent, Payment, Reservation};

/// The bounds of a search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) requests: usize,
    /// The attempts to pay of each reservation.
    pub(super) attempts: [u8; 2],
    /// The most crashes, redeliveries and repeats in the history of each reservation.
    pub(super) mishaps: [u8; 2],
    /// Whether every outcome of a call is tried for each reservation, or only "yes" and "no".
    pub(super) is_unsure: [bool; 2],
    /// Whether the rows of deadlines lag behind the events that set and clear them.
    pub(super) rows_lag: bool,
    pub(super) last_day: u8,
    /// The most states; more are a fault of the test.
    pub(super) limit: usize,
}

/// The part of a state that one reservation depends on, while a step is computed.
#[derive(Debug, Clone)]
pub(super) struct Local {
    /// The index of the reservation, from 0.
    pub(super) index: usize,
    pub(super) today: u8,
    pub(super) item: Id,
    pub(super) request: RequestState,
    /// The rule that the step broke.
    pub(super) broken: Option<String>,
}

impl Local {
    /// The same after a crash, a redelivery or a repeat, if there may be another one.
    pub(super) fn mishap(&self, bounds: Bounds) -> Option<Self> {
        let mut after = self.clone();
        after.request.mishaps += 1;
        if after.request.mishaps == bounds.mishaps[self.index] {
            // After the last one there is no redelivery.
            after.request.again = Line::default();
        }
        (after.request.mishaps <= bounds.mishaps[self.index]).then_some(after)
    }

    /// Whether the step led to another state, or broke a rule.
    pub(super) fn is_effective(&self, before: &Self) -> bool {
        self.broken.is_some()
            || (self.today, self.item, self.request) != (before.today, before.item, before.request)
    }
}

/// The market.
pub(super) struct Model {
    pub(super) bounds: Bounds,
    pub(super) left_out: Option<LeftOut>,
    pub(super) events: Events,
    pub(super) tables: Tables,
    pub(super) items: Decisions<Item>,
    pub(super) reservations: Decisions<Reservation>,
    pub(super) holds: Decisions<Hold>,
    pub(super) payments: Decisions<Payment>,
}

impl Model {
    pub(super) fn new(bounds: Bounds, left_out: Option<LeftOut>) -> Self {
        Self {
            bounds,
            left_out,
            events: Events::default(),
            tables: Tables::new(),
            items: Decisions::new(MarketEvent::Item),
            reservations: Decisions::new(MarketEvent::Reservation),
            holds: Decisions::new(MarketEvent::Hold),
            payments: Decisions::new(MarketEvent::Payment),
        }
    }

    /// Whether no step of the reservation can touch the item until another of its steps has made that possible.
    pub(super) fn is_private(&self, local: &Local) -> bool {
        let RequestState { reservation, holding, again, refused_for, mishaps, .. } = local.request;
        let own = reservation_no(local.index);
        let item = self.items.state(local.item);
        let may_be_lent = item.hold_of(own).is_some_and(|hold| hold.authorized);
        let may_be_redelivered =
            again.first().is_some() && mishaps < self.bounds.mishaps[local.index];
        reservation != 0
            && holding.first().is_none()
            && refused_for == 0
            && !may_be_lent
            && !may_be_redelivered
            && !item.is_rented_by(own)
    }
}
