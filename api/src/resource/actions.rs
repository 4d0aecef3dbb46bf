//! What an actor may do with a resource now, and with which request.

use gdmarket_app::{
    ItemAction, Permission, ReservationAction, Viewer, item_permissions, reservation_permissions,
};
use gdmarket_domain::{Item, ItemNo, Reservation, ReservationNo};
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

/// The actions of an item.
pub(super) fn item_actions(item_no: ItemNo, item: &Item, viewer: &Viewer) -> Vec<Action> {
    let to = |path: &str| format!("/items/{item_no}{path}");
    let action = |Permission { action, refused_for }: Permission<ItemAction>| {
        let (method, href) = match action {
            ItemAction::Reserve => ("POST", "/reservations".to_owned()),
            ItemAction::Change => ("PATCH", to("")),
            ItemAction::Lend => ("POST", to("/lend")),
            ItemAction::Return => ("POST", to("/return")),
            ItemAction::Block => ("POST", to("/block")),
            ItemAction::Unblock => ("POST", to("/unblock")),
            ItemAction::Delete => ("POST", to("/delete")),
        };
        let (name, allowed) = (action.as_str(), refused_for.is_none());
        Action { name, allowed, reason: refused_for, method, href }
    };
    item_permissions(item, viewer).into_iter().map(action).collect()
}

/// The actions of a reservation.
pub(super) fn reservation_actions(
    reservation_no: ReservationNo,
    reservation: &Reservation,
    viewer: &Viewer,
) -> Vec<Action> {
    let action = |Permission { action, refused_for }: Permission<ReservationAction>| {
        let path = match action {
            ReservationAction::Pay => "/payment",
            ReservationAction::CancelPayment => "/payment/cancel",
            ReservationAction::Cancel => "/cancel",
        };
        let href = format!("/reservations/{reservation_no}{path}");
        let (name, allowed) = (action.as_str(), refused_for.is_none());
        Action { name, allowed, reason: refused_for, method: "POST", href }
    };
    reservation_permissions(reservation, viewer).into_iter().map(action).collect()
}
