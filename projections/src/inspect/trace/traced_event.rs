//! An event in its trace, and how the OpenAPI document describes it.

use crate::inspect::event_view::{EventOrigin, EventView};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Object, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An event with what followed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TracedEvent {
    /// The event.
    #[serde(flatten)]
    pub event: EventView,
    /// The service whose log has it, where services have logs of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'static str>,
    /// What followed from it, in order.
    pub consequences: Vec<TracedEvent>,
}

impl ToSchema for TracedEvent {
    fn name() -> Cow<'static, str> {
        "StoryEvent".into()
    }
}

impl PartialSchema for TracedEvent {
    /// The fields of an event, of its origin and of this type, in one object.
    fn schema() -> RefOr<Schema> {
        let (mut event, origin) = (object::<EventView>(), object::<EventOrigin>());
        let before_cause = event.required.iter().position(|name| name == "causedBy").unwrap_or(0);
        event.required.splice(before_cause..before_cause, origin.required);
        event.properties.extend(origin.properties);
        for (name, example) in [("stream", "reservation/1"), ("type", "ReservationRequested")] {
            if let Some(RefOr::T(Schema::Object(field))) = event.properties.get_mut(name) {
                field.example = Some(example.into());
            }
        }
        let consequences = ArrayBuilder::new()
            .items(Ref::from_schema_name(Self::name()))
            .description(Some("What followed from it."));
        let service = ObjectBuilder::new().schema_type(Type::String).description(Some(
            "The service whose log has it and the position; only where the market runs as several services.",
        ));
        event.properties.insert("service".to_owned(), service.into());
        event.properties.insert("consequences".to_owned(), consequences.into());
        event.required.push("consequences".to_owned());
        event.description = Some("An event with what followed from it.".to_owned());
        event.into()
    }
}

/// The schema of a struct.
fn object<T: PartialSchema>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        RefOr::T(_) | RefOr::Ref(_) => Object::new(),
    }
}
