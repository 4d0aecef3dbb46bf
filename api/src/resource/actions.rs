//! What an actor may do with a resource now, and why not: asked of the aggregate's own decisions, so
//! that nothing is promised here which a command would refuse.

use chrono::NaiveDate;
use gdmarket_domain::reservation::Stage;
use gdmarket_domain::{
    Actor, Decider, Item, ItemCommand, PaymentNo, PersonId, Refusal as _, Reservation,
    ReservationCommand,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Something that can be done with a resource.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Action {
    #[schema(value_type = String, example = "lend")]
    name: &'static str,
    /// Whether this actor may do it now.
    allowed: bool,
    /// The code of why not; the days of a period are looked at only when it is sent.
    #[schema(required, value_type = Option<String>)]
    reason: Option<&'static str>,
    #[schema(value_type = String, example = "POST")]
    method: &'static str,
    href: String,
}

/// For whom a resource is shown, and on which day.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) actor: Actor,
    /// Today in the market's time zone.
    pub(crate) today: NaiveDate,
}

impl Viewer {
    /// Whether a renter's name is shown: to that renter, to the item's owner, and to operators.
    pub(crate) fn sees_name(&self, renter: Option<PersonId>, owner: Option<PersonId>) -> bool {
        self.actor.is_owner(owner) || renter.is_some_and(|renter| self.actor.is_renter(renter))
    }
}

const WRONG_ACTOR: &str = "wrong-actor";

/// Why this command would change nothing; `had_happened` is the reason when all is so already.
fn refusal<A: Decider>(
    state: &A,
    actor: &Actor,
    command: &A::Command,
    had_happened: Option<&'static str>,
) -> Option<&'static str> {
    if !state.permits(actor, command) {
        return Some(WRONG_ACTOR);
    }
    match state.decide(command) {
        Ok(events) if events.is_empty() => had_happened,
        Ok(_) => None,
        Err(refusal) => Some(refusal.code()),
    }
}

fn action(
    name: &'static str,
    method: &'static str,
    href: String,
    reason: Option<&'static str>,
) -> Action {
    Action { name, allowed: reason.is_none(), reason, method, href }
}

/// What may be done with an item.
pub(crate) fn item_actions(item_no: i64, item: &Item, viewer: &Viewer) -> Vec<Action> {
    let Viewer { actor, today } = viewer;
    let why = |command: &ItemCommand, had_happened| refusal(item, actor, command, had_happened);
    // An absent name and price change nothing, but are refused like any others.
    let change = why(&ItemCommand::Change { item_name: None, item_price: None }, None);
    let delete = why(&ItemCommand::Delete, Some("item-gone"));
    let lend = why(&ItemCommand::Lend { reservation_no: None, today: *today }, None);
    let give_back = why(&ItemCommand::Return { reservation_no: None }, None);
    let to = |path: &str| format!("/items/{item_no}{path}");
    let reserve = match actor {
        Actor::Owner(_) | Actor::Anonymous => Some(WRONG_ACTOR),
        Actor::Renter(me) if item.owner_id() == Some(*me) => Some("own-item"),
        Actor::Operator(_) | Actor::Renter(_) | Actor::Process(_) => not_to_be_reserved(item),
    };
    vec![
        action("reserve", "POST", "/reservations".to_owned(), reserve),
        action("change", "PATCH", to(""), change),
        action("lend", "POST", to("/lend"), lend),
        action("return", "POST", to("/return"), give_back),
        action("block", "POST", to("/block"), change),
        action("unblock", "POST", to("/unblock"), change),
        action("delete", "POST", to("/delete"), delete),
    ]
}

/// Why nobody can reserve it, whatever the days.
fn not_to_be_reserved(item: &Item) -> Option<&'static str> {
    if item.listed().is_none() {
        return Some("item-gone");
    }
    // Without a last day it leaves no day free: it began on the day it was asked for.
    let mut standing = item.holds().iter().chain(item.rental());
    standing.any(|booking| booking.span.to.is_none()).then_some("item-taken")
}

/// What may be done with a reservation.
pub(crate) fn reservation_actions(
    reservation_no: i64,
    reservation: &Reservation,
    viewer: &Viewer,
) -> Vec<Action> {
    let actor = &viewer.actor;
    let why = |command: &ReservationCommand, had_happened| {
        refusal(reservation, actor, command, had_happened)
    };
    let requested = match reservation.stage() {
        Stage::CancellationPending { .. } => "cancellation-pending",
        _ => "reservation-closed",
    };
    let cancel = why(&ReservationCommand::Cancel, Some(requested));
    let pay = match PaymentNo::new(1) {
        Ok(payment_no) => why(&ReservationCommand::RequestPayment { payment_no }, Some("paid")),
        Err(_) => Some("impossible"),
    };
    let take_back = why(&ReservationCommand::RequestPaymentCancellation, Some(requested));
    let to = |path: &str| format!("/reservations/{reservation_no}{path}");
    vec![
        action("pay", "POST", to("/payment"), pay),
        action("cancelPayment", "POST", to("/payment/cancel"), take_back),
        action("cancel", "POST", to("/cancel"), cancel),
    ]
}
