//! From what the views found to what callers see.

use crate::problem::Problem;
use crate::resource::{
    AlarmResource, ItemInfoResource, ItemResource, KRW, Links, PaymentResource, Period,
    ReservationResource, Stale, Versioned, item_actions, reservation_actions,
};
use gdmarket_app::Viewer;
use gdmarket_domain::{Item, ItemNo, Money, PersonId, RentalPeriod, ReservationNo};
use gdmarket_projections::{
    self as projections, FoundAlarm, FoundItem, FoundItemInfo, FoundPayment, FoundReservation,
    ItemBody, Page, QueryError,
};

type Answer<T> = Result<Option<Versioned<T>>, Problem>;

/// Renders one member, if it was found.
pub(crate) fn one<F, T>(
    found: Result<Option<F>, QueryError>,
    render: impl FnOnce(F) -> Versioned<T>,
) -> Answer<T> {
    Ok(found?.map(render))
}

/// Renders the members of a page.
pub(crate) fn page<F, T>(
    found: Result<Page<F>, QueryError>,
    render: impl Fn(F) -> Versioned<T>,
) -> Result<Page<T>, Problem> {
    let Page { rows, next } = found?;
    Ok(Page { rows: rows.into_iter().map(|row| render(row).body).collect(), next })
}

fn stale(stale: Option<projections::Stale>) -> Option<Stale> {
    stale.map(|projections::Stale { since, reason }| Stale { since, reason })
}

pub(crate) fn item(found: FoundItem, viewer: &Viewer) -> Versioned<ItemResource> {
    let FoundItem { version, stale, body, state, .. } = found;
    Versioned { version, body: item_body(body, stale, (&state, "items"), viewer) }
}

fn item_body(
    body: ItemBody,
    is_stale: Option<projections::Stale>,
    (state, collection): (&Item, &str),
    viewer: &Viewer,
) -> ItemResource {
    let reservation_no = body.reservation_no.map(ReservationNo::get);
    ItemResource {
        item_no: body.item_no.get(),
        item_name: body.item_name,
        item_price: body.item_price.won(),
        item_status: body.item_status.as_str(),
        rental_status: body.rental_status.as_str(),
        reservation_no,
        owner_id: body.owner_id.map(PersonId::get),
        stale: stale(is_stale),
        actions: item_actions(body.item_no.get(), state, viewer),
        links: Links::of_item(collection, body.item_no.get(), reservation_no),
    }
}

pub(crate) fn item_info(found: FoundItemInfo, viewer: &Viewer) -> Versioned<ItemInfoResource> {
    let FoundItemInfo { version, stale, body, state, .. } = found;
    let is_shown = viewer.sees_name(body.customer_id, body.item.owner_id);
    let body = ItemInfoResource {
        item: item_body(body.item, stale, (&state, "itemInfoes"), viewer),
        customer_id: body.customer_id.map(PersonId::get),
        customer_name: body.customer_name.filter(|_| is_shown),
        alarm_status: body.alarm_status.map(projections::AlarmStatus::as_str),
    };
    Versioned { version, body: body.shown_to(&viewer.actor) }
}

pub(crate) fn reservation(
    found: FoundReservation,
    viewer: &Viewer,
) -> Versioned<ReservationResource> {
    let FoundReservation { version, stale: is_stale, body, state, .. } = found;
    let reservation_no = body.reservation_no.get();
    let is_shown = viewer.sees_name(Some(body.customer_id), body.owner_id);
    let period = body.period.map(|p: RentalPeriod| Period { from: p.from(), to: p.to() });
    let body = ReservationResource {
        reservation_no,
        customer_id: body.customer_id.get(),
        customer_name: body.customer_name.filter(|_| is_shown),
        item_no: body.item_no.get(),
        item_name: body.item_name,
        item_price: body.item_price.map(Money::won),
        total_price: body.total_price.map(Money::won),
        currency: KRW,
        period,
        status: body.status.as_str(),
        reason: body.reason,
        rental_status: body.rental_status.as_str(),
        payment_status: body.payment_status.as_str(),
        pay_by: body.pay_by,
        stale: stale(is_stale),
        actions: reservation_actions(reservation_no, &state, viewer),
        links: Links::of_reservation(reservation_no),
    };
    Versioned { version, body: body.shown_to(&viewer.actor) }
}

pub(crate) fn payment(found: FoundPayment) -> Versioned<PaymentResource> {
    let FoundPayment { version, stale: is_stale, body, .. } = found;
    let body = PaymentResource {
        payment_no: body.payment_no.get(),
        reservation_no: body.reservation_no.get(),
        item_no: body.item_no.get(),
        item_price: body.item_price.won(),
        currency: KRW,
        payment_status: body.payment_status.as_str(),
        status: body.status.as_str(),
        reason: body.reason,
        stale: stale(is_stale),
        links: Links::of_payment(body.payment_no.get(), body.reservation_no.get()),
    };
    Versioned { version, body }
}

pub(crate) fn alarm(found: FoundAlarm) -> Versioned<AlarmResource> {
    let FoundAlarm { version, stale: is_stale, body, .. } = found;
    let body = AlarmResource {
        alarm_no: ItemNo::get(body.alarm_no),
        item_no: body.item_no.get(),
        alarm_status: body.alarm_status.as_str(),
        stale: stale(is_stale),
        links: Links::of_alarm(ItemNo::get(body.alarm_no)),
    };
    Versioned { version, body }
}
