//! The links of a resource, as HAL has them: to itself and to related resources.

use gdmarket_domain::ReservationNo;
use gdmarket_projections::{AlarmBody, ItemBody, PaymentBody, ReservationBody};
use serde::Serialize;
use utoipa::ToSchema;

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HalLink)]
pub(crate) struct Link {
    #[schema(example = "/items/1")]
    href: String,
}

/// The links of a resource; a client's body may carry them, and they are ignored there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Links {
    #[serde(rename = "self")]
    own: Link,
    /// An item's taken days.
    #[serde(skip_serializing_if = "Option::is_none")]
    calendar: Option<Link>,
    /// The reservation that holds it, or that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<Link>,
    /// All that led to a reservation and followed from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Link>,
}

impl Link {
    pub(crate) const fn to(href: String) -> Self {
        Self { href }
    }
}

impl Links {
    const fn own(href: String) -> Self {
        Self { own: Link::to(href), calendar: None, reservation: None, trace: None }
    }

    /// The path of the resource itself.
    pub(crate) fn path(&self) -> &str {
        &self.own.href
    }

    fn to_reservation(reservation_no: ReservationNo) -> Link {
        Link::to(format!("/reservations/{reservation_no}"))
    }

    /// The links of a member of `collection` that shows an item.
    pub(super) fn of_item(collection: &str, item: &ItemBody) -> Self {
        let item_no = item.item_no;
        Self {
            calendar: Some(Link::to(format!("/items/{item_no}/calendar"))),
            reservation: item.reservation_no.map(Self::to_reservation),
            ..Self::own(format!("/{collection}/{item_no}"))
        }
    }

    pub(super) fn of_reservation(reservation: &ReservationBody) -> Self {
        let own = Self::to_reservation(reservation.reservation_no).href;
        Self { trace: Some(Link::to(format!("{own}/trace"))), ..Self::own(own) }
    }

    pub(super) fn of_payment(payment: &PaymentBody) -> Self {
        Self {
            reservation: Some(Self::to_reservation(payment.reservation_no)),
            ..Self::own(format!("/payments/{}", payment.payment_no))
        }
    }

    pub(super) fn of_alarm(alarm: &AlarmBody) -> Self {
        Self::own(format!("/alarms/{}", alarm.alarm_no))
    }
}
