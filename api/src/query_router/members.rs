//! The members of a page, as HAL embeds them.

use super::listed::Listed;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The members of a page, under the name of their collection.
pub(super) struct Members<B: Listed>(pub(super) Vec<B::Resource>);

impl<B: Listed> Serialize for Members<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(B::COLLECTION, &self.0)])
    }
}

impl<B: Listed> ToSchema for Members<B> {
    fn name() -> Cow<'static, str> {
        let (first, rest) = B::COLLECTION.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((B::Resource::name().into_owned(), B::Resource::schema()));
        B::Resource::schemas(schemas);
    }
}

impl<B: Listed> PartialSchema for Members<B> {
    fn schema() -> RefOr<Schema> {
        let members = ArrayBuilder::new().items(Ref::from_schema_name(B::Resource::name()));
        ObjectBuilder::new()
            .description(Some(format!("The members of `/{}` in HAL.", B::COLLECTION)))
            .property(B::COLLECTION, members)
            .required(B::COLLECTION)
            .into()
    }
}
