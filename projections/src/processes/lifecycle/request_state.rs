//! One reservation's part of a state of the search: its aggregates by number, the queues of its managers, its
//! deadlines, and the gateway's charges and refunds.

use super::fixtures::Id;

/// Events that wait for a manager, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Line([Id; 8]);

impl Line {
    pub(super) const fn first(self) -> Option<Id> {
        match self.0[0] {
            0 => None,
            id => Some(id),
        }
    }

    pub(super) fn push(&mut self, id: Id) {
        let free = self.0.iter_mut().find(|slot| **slot == 0);
        *free.expect("a line never holds more than eight events") = id;
    }

    pub(super) fn pop(&mut self) {
        self.0.rotate_left(1);
        self.0[7] = 0;
    }

    pub(super) fn all(self) -> impl Iterator<Item = Id> {
        self.0.into_iter().take_while(|id| *id != 0)
    }

    /// Adds an event to a set; returns whether there was room.
    #[must_use]
    pub(super) fn remember(&mut self, id: Id) -> bool {
        if self.0.contains(&id) {
            return true;
        }
        let filled = self.all().count();
        let has_room = filled < self.0.len();
        if has_room {
            self.push(id);
            self.0[..=filled].sort_unstable();
        }
        has_room
    }

    pub(super) fn forget(&mut self, id: Id) {
        let kept: Vec<Id> = self.all().filter(|other| *other != id).collect();
        *self = Self::default();
        for id in kept {
            self.push(id);
        }
    }
}

/// A queue of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Its own events, for `holding`.
    Holding,
    /// The item's events, for `reservation_process`.
    Item,
    /// The refused hold's event, for `reservation_process`.
    Hold,
    /// Its own events, for `reservation_process`: deadlines.
    Deadlines,
    /// An attempt's events, for `reservation_process`.
    Outcomes(usize),
    /// Its own events, for `payment_process`.
    Requested(usize),
    /// An attempt's events, for `payment_process`.
    Settled(usize),
}

impl Lines {
    pub(super) const ALL: [Self; 10] = [
        Self::Holding,
        Self::Item,
        Self::Hold,
        Self::Deadlines,
        Self::Outcomes(0),
        Self::Requested(0),
        Self::Settled(0),
        Self::Outcomes(1),
        Self::Requested(1),
        Self::Settled(1),
    ];
}

/// The progress of the task that pays an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// There is no such task.
    #[default]
    None,
    /// It is about to start the attempt.
    Starting,
    /// It has started the attempt and calls the gateway.
    Calling,
}

/// One attempt to pay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct AttemptState {
    pub(super) payment: Id,
    /// The row of the settling deadline; 0 without one.
    pub(super) settling: Id,
    pub(super) outcomes: Line,
    pub(super) requested: Line,
    pub(super) settled: Line,
    pub(super) task: Task,
    /// The call is delayed and may still charge.
    pub(super) in_flight: bool,
    /// The gateway's charges.
    pub(super) charges: u8,
    /// The gateway's refunds.
    pub(super) refunds: u8,
}

impl AttemptState {
    /// Whether the gateway has the money.
    pub(super) const fn is_kept(self) -> bool {
        self.charges > self.refunds
    }
}

/// One reservation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct RequestState {
    pub(super) reservation: Id,
    pub(super) hold: Id,
    /// The row of the time to pay; 0 without one.
    pub(super) deadline: Id,
    pub(super) holding: Line,
    pub(super) from_item: Line,
    pub(super) from_hold: Line,
    pub(super) deadlines: Line,
    /// Causes whose command wrote nothing, so that a redelivery is decided again.
    pub(super) again: Line,
    /// A fenced runner was refused the hold and hasn't recorded the refusal.
    pub(super) refused_for: Id,
    /// The command id of the hold has its receipt.
    pub(super) hold_answered: bool,
    /// The attempt that had paid when the item was lent, counted from 1.
    pub(super) lent_by: u8,
    pub(super) attempts: [AttemptState; 2],
    /// The number of opened attempts.
    pub(super) opened: u8,
    /// The number of crashes and redeliveries so far.
    pub(super) mishaps: u8,
}

impl RequestState {
    pub(super) const fn line(&mut self, line: Lines) -> &mut Line {
        match line {
            Lines::Holding => &mut self.holding,
            Lines::Item => &mut self.from_item,
            Lines::Hold => &mut self.from_hold,
            Lines::Deadlines => &mut self.deadlines,
            Lines::Outcomes(attempt) => &mut self.attempts[attempt].outcomes,
            Lines::Requested(attempt) => &mut self.attempts[attempt].requested,
            Lines::Settled(attempt) => &mut self.attempts[attempt].settled,
        }
    }
}
