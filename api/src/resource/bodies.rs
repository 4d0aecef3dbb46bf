//! What each body of a view becomes as a resource.

use super::actions::{item_actions, reservation_actions};
use super::{
    Action, AddedFields, AlarmResource, ItemInfoResource, ItemResource, KRW, Links,
    PaymentResource, ReservationResource, Resource, ResourceBody,
};
use gdmarket_app::Viewer;
use gdmarket_domain::{Alarm, Item, Payment, Reservation};
use gdmarket_projections::{
    AlarmBody, ItemBody, ItemInfoBody, JoinedFields, PaymentBody, ReservationBody,
};

impl ResourceBody for ItemBody {
    type State = Item;
    type Resource = ItemResource;

    fn links(&self) -> Links {
        Links::of_item("items", self)
    }

    fn actions(&self, state: &Item, viewer: &Viewer) -> Option<Vec<Action>> {
        Some(item_actions(self.item_no, state, viewer))
    }

    fn into_resource(self, added: AddedFields, _viewer: &Viewer) -> ItemResource {
        Resource { body: self, added }
    }
}

impl ResourceBody for ItemInfoBody {
    type State = Item;
    type Resource = ItemInfoResource;

    fn links(&self) -> Links {
        Links::of_item("itemInfoes", &self.item)
    }

    fn actions(&self, state: &Item, viewer: &Viewer) -> Option<Vec<Action>> {
        self.item.actions(state, viewer)
    }

    fn into_resource(self, added: AddedFields, viewer: &Viewer) -> ItemInfoResource {
        let Self { item, joined } = self;
        let is_shown = viewer.sees_name(joined.customer_id, item.owner_id);
        let customer_name = joined.customer_name.filter(|_| is_shown);
        let joined = JoinedFields { customer_name, ..joined };
        ItemInfoResource { item: Resource { body: item, added }, joined }
    }
}

impl ResourceBody for ReservationBody {
    type State = Reservation;
    type Resource = ReservationResource;

    fn links(&self) -> Links {
        Links::of_reservation(self)
    }

    fn actions(&self, state: &Reservation, viewer: &Viewer) -> Option<Vec<Action>> {
        Some(reservation_actions(self.reservation_no, state, viewer))
    }

    fn into_resource(self, added: AddedFields, viewer: &Viewer) -> ReservationResource {
        let is_shown = viewer.sees_name(Some(self.customer_id), self.owner_id);
        let customer_name = self.customer_name.filter(|_| is_shown);
        Resource { body: Self { customer_name, currency: Some(KRW), ..self }, added }
    }
}

impl ResourceBody for PaymentBody {
    type State = Payment;
    type Resource = PaymentResource;

    fn links(&self) -> Links {
        Links::of_payment(self)
    }

    fn into_resource(self, added: AddedFields, _viewer: &Viewer) -> PaymentResource {
        Resource { body: Self { currency: Some(KRW), ..self }, added }
    }
}

impl ResourceBody for AlarmBody {
    type State = Alarm;
    type Resource = AlarmResource;

    fn links(&self) -> Links {
        Links::of_alarm(self)
    }

    fn into_resource(self, added: AddedFields, _viewer: &Viewer) -> AlarmResource {
        Resource { body: self, added }
    }
}
