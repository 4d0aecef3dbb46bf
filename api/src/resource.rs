//! Resources as callers see them: what a view shows, with links and with what the caller may do. Both
//! routers answer with these. Absent values are `null` and never left out.

mod actions;
mod bodies;
mod links;
mod schema;

pub(crate) use actions::Action;
pub(crate) use links::{Link, Links};

use gdmarket_app::Viewer;
use gdmarket_projections::{
    AlarmBody, Found, ItemBody, JoinedFields, PaymentBody, ReservationBody, Stale,
};
use serde::Serialize;
use utoipa::ToSchema;

/// The currency of the market.
pub(crate) const KRW: &str = "KRW";

/// An item.
pub(crate) type ItemResource = Resource<ItemBody>;
/// A reservation.
pub(crate) type ReservationResource = Resource<ReservationBody>;
/// A payment attempt.
pub(crate) type PaymentResource = Resource<PaymentBody>;
/// An alarm.
pub(crate) type AlarmResource = Resource<AlarmBody>;

/// A resource at a version of its aggregate.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<T> {
    pub(crate) version: i64,
    pub(crate) body: T,
}

/// A body and what HTTP adds to it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Resource<B> {
    #[serde(flatten)]
    body: B,
    #[serde(flatten)]
    added: AddedFields,
}

/// The owner's integrated view of an item.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ItemInfo)]
pub(crate) struct ItemInfoResource {
    #[serde(flatten)]
    item: ItemResource,
    #[serde(flatten)]
    #[schema(inline)]
    joined: JoinedFields,
}

// The fields that every resource has.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AddedFields {
    #[schema(required)]
    stale: Option<Stale>,
    /// What this actor may do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required, value_type = Vec<Action>)]
    actions: Option<Vec<Action>>,
    #[serde(rename = "_links")]
    links: Links,
}

/// A body that is shown as a resource.
pub(crate) trait ResourceBody: Sized {
    /// The aggregate, which decides what may be done.
    type State;
    /// The resource that shows the body.
    type Resource: Serialize + ToSchema + Send;

    fn links(&self) -> Links;

    /// What the viewer may do; `None` where callers can do nothing with such a resource.
    fn actions(&self, _state: &Self::State, _viewer: &Viewer) -> Option<Vec<Action>> {
        None
    }

    /// Adds the other fields, and withholds what the viewer may not see.
    fn into_resource(self, added: AddedFields, viewer: &Viewer) -> Self::Resource;
}

/// What is known of a resource: its body as its view has it, and its aggregate.
pub(crate) type FoundBody<B> = Found<B, <B as ResourceBody>::State>;

/// Renders a resource for a viewer.
pub(crate) fn render<B: ResourceBody>(
    found: FoundBody<B>,
    viewer: &Viewer,
) -> Versioned<B::Resource> {
    let Found { version, stale, body, state, .. } = found;
    let (actions, links) = (body.actions(&state, viewer), body.links());
    let added = AddedFields { stale, actions, links };
    Versioned { version, body: body.into_resource(added, viewer) }
}
