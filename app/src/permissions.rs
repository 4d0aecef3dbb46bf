//! The actions that an actor may take on a resource now, and why not the others. The aggregate itself decides, so that
//! no action is offered that a command would refuse.

use chrono::NaiveDate;
use gdmarket_domain::reservation::ReservationStage;
use gdmarket_domain::{
    Actor, Decider, Item, ItemCommand, PaymentNo, PersonId, Refusal as _, Reservation,
    ReservationCommand,
};

/// The actor that a resource is shown to, and the day.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// The actor.
    pub actor: Actor,
    /// Today in the market's time zone.
    pub today: NaiveDate,
}

impl Viewer {
    /// Whether a renter's name is shown: to that renter, to the item's owner, and to operators.
    pub fn sees_name(&self, renter: Option<PersonId>, owner: Option<PersonId>) -> bool {
        self.actor.is_owner(owner) || renter.is_some_and(|renter| self.actor.is_renter(renter))
    }
}

/// An action on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemAction {
    /// Reserve it.
    Reserve,
    /// Change its name or price.
    Change,
    /// Hand it over to the renter.
    Lend,
    /// Take it back from the renter.
    Return,
    /// Keep days back.
    Block,
    /// Free days that were kept back.
    Unblock,
    /// Take it off the market.
    Delete,
}

/// An action on a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationAction {
    /// Pay it.
    Pay,
    /// Take the payment back.
    CancelPayment,
    /// Cancel it.
    Cancel,
}

impl ItemAction {
    /// The name that callers see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Change => "change",
            Self::Lend => "lend",
            Self::Return => "return",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Delete => "delete",
        }
    }
}

impl ReservationAction {
    /// The name that callers see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::CancelPayment => "cancelPayment",
            Self::Cancel => "cancel",
        }
    }
}

/// Whether an action is possible now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission<A> {
    /// The action.
    pub action: A,
    /// The code of the reason against it; `None` if this actor may do it now. The days of a period are checked only
    /// when it is sent.
    pub refused_for: Option<&'static str>,
}

const WRONG_ACTOR: &str = "wrong-actor";

/// Why this command would change nothing; `no_change` is the reason if the requested state is reached already.
fn refusal<A: Decider>(
    state: &A,
    actor: &Actor,
    command: &A::Command,
    no_change: Option<&'static str>,
) -> Option<&'static str> {
    if !state.permits(actor, command) {
        return Some(WRONG_ACTOR);
    }
    match state.decide(command) {
        Ok(events) if events.is_empty() => no_change,
        Ok(_) => None,
        Err(refusal) => Some(refusal.code()),
    }
}

const fn permission<A>(action: A, refused_for: Option<&'static str>) -> Permission<A> {
    Permission { action, refused_for }
}

/// The permissions for every action on an item.
pub fn item_permissions(item: &Item, viewer: &Viewer) -> [Permission<ItemAction>; 7] {
    let Viewer { actor, today } = viewer;
    let refused = |command: &ItemCommand, no_change| refusal(item, actor, command, no_change);
    // An absent name and price change nothing, but are refused like any others.
    let change = refused(&ItemCommand::Change { item_name: None, item_price: None }, None);
    let lend = ItemCommand::Lend { reservation_no: None, today: *today };
    let take_back = ItemCommand::Return { reservation_no: None };
    [
        permission(ItemAction::Reserve, reserve_refused(item, actor)),
        permission(ItemAction::Change, change),
        permission(ItemAction::Lend, refused(&lend, None)),
        permission(ItemAction::Return, refused(&take_back, None)),
        permission(ItemAction::Block, change),
        permission(ItemAction::Unblock, change),
        permission(ItemAction::Delete, refused(&ItemCommand::Delete, Some("item-gone"))),
    ]
}

fn reserve_refused(item: &Item, actor: &Actor) -> Option<&'static str> {
    match actor {
        Actor::Owner(_) | Actor::Anonymous => Some(WRONG_ACTOR),
        Actor::Renter(me) if item.owner_id() == Some(*me) => Some("own-item"),
        Actor::Operator(_) | Actor::Renter(_) | Actor::Process(_) => unavailable(item),
    }
}

/// Why no renter can reserve the item on any day.
fn unavailable(item: &Item) -> Option<&'static str> {
    if item.listed().is_none() {
        return Some("item-gone");
    }
    // A booking without a last day leaves no day free: it began on the day it was requested for.
    let mut bookings = item.holds().iter().chain(item.rental());
    bookings.any(|booking| booking.span.to.is_none()).then_some("item-taken")
}

/// The permissions for every action on a reservation.
pub fn reservation_permissions(
    reservation: &Reservation,
    viewer: &Viewer,
) -> [Permission<ReservationAction>; 3] {
    let actor = &viewer.actor;
    let refused =
        |command: &ReservationCommand, no_change| refusal(reservation, actor, command, no_change);
    let is_pending = matches!(reservation.stage(), ReservationStage::CancellationPending { .. });
    let requested = if is_pending { "cancellation-pending" } else { "reservation-closed" };
    let pay = match PaymentNo::new(1) {
        Ok(payment_no) => refused(&ReservationCommand::RequestPayment { payment_no }, Some("paid")),
        Err(_) => Some("impossible"),
    };
    let cancel_payment = refused(&ReservationCommand::RequestPaymentCancellation, Some(requested));
    let cancel = refused(&ReservationCommand::Cancel, Some(requested));
    [
        permission(ReservationAction::Pay, pay),
        permission(ReservationAction::CancelPayment, cancel_payment),
        permission(ReservationAction::Cancel, cancel),
    ]
}
