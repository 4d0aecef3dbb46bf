//! The two routes of every resource, its collection and its members: generic handlers, and what the
//! OpenAPI document says of them.

use super::accept::{HAL_JSON, JSON, MemberType};
use super::collection::{self, CollectionRequest, Hal, Plain};
use super::listed::Listed;
use super::members::Members;
use super::{Answer, QueryState, shown};
use crate::extract::caller::Reader;
use crate::extract::path::{Numbered, PathNumber as _};
use crate::extract::query::Params;
use crate::problem::Problem;
use crate::resource::render;
use axum::extract::State;
use axum::routing::get;
use gdmarket_projections::Page;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Content, HttpMethod, Paths, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{PartialSchema as _, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

async fn list<B: Listed>(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    request: CollectionRequest,
    mut params: Params,
) -> Answer {
    let (filter, page) = collection::read(&mut params, B::STATUSES);
    state.catch_up(params).await?;
    let viewer = state.viewer(actor);
    let Page { rows, next } = B::list(&state.queries, &filter, page).await?;
    let members = rows.into_iter().map(|row| render(row, &viewer).body).collect();
    Ok(request.answer(Members::<B>(members), next))
}

async fn member<B: Listed>(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    Numbered(number): Numbered<B::Number>,
    media_type: MemberType,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let found = B::find(&state.queries, number).await?;
    let found = found.ok_or_else(|| Problem::new(B::Number::NOT_FOUND))?;
    Ok(shown(&render(found, &state.viewer(actor)), media_type))
}

/// The route of a collection.
pub(super) fn list_route<B: Listed>(
    operation_id: &str,
    summary: &str,
) -> UtoipaMethodRouter<QueryState> {
    let (members, member) = (Members::<B>::name(), B::Resource::name());
    let mut schemas = vec![(members.to_string(), Members::<B>::schema())];
    let hal = content::<Hal<Members<B>>>(format!("Hal_{members}"), &mut schemas);
    let plain = content::<Plain<B::Resource>>(format!("Plain_{member}"), &mut schemas);
    let response =
        ResponseBuilder::new().description("A page.").content(HAL_JSON, hal).content(JSON, plain);
    let operation = OperationBuilder::new()
        .tag(B::COLLECTION)
        .operation_id(Some(operation_id))
        .summary(Some(summary))
        .response("200", response);
    let mut paths = Paths::new();
    paths.add_path_operation(format!("/{}", B::COLLECTION), vec![HttpMethod::Get], operation);
    (schemas, paths, get(list::<B>))
}

/// The route of a collection's members.
pub(super) fn member_route<B: Listed>(
    operation_id: &str,
    summary: &str,
    answer: &str,
) -> UtoipaMethodRouter<QueryState> {
    let mut schemas = vec![];
    let number = ParameterBuilder::new()
        .name(B::NUMBER)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(B::NUMBER_DESCRIPTION))
        .schema(Some(i64::schema()));
    let resource = content::<B::Resource>(B::Resource::name().into_owned(), &mut schemas);
    let response = ResponseBuilder::new().description(answer).content(JSON, resource);
    let operation = OperationBuilder::new()
        .tag(B::COLLECTION)
        .operation_id(Some(operation_id))
        .summary(Some(summary))
        .parameter(number)
        .response("200", response);
    let mut paths = Paths::new();
    let path = format!("/{}/{{{}}}", B::COLLECTION, B::NUMBER);
    paths.add_path_operation(path, vec![HttpMethod::Get], operation);
    (schemas, paths, get(member::<B>))
}

/// A body of this type, whose schema becomes a component of this name.
fn content<T: ToSchema>(name: String, schemas: &mut Vec<(String, RefOr<Schema>)>) -> Content {
    let content = Content::new(Some(Ref::from_schema_name(&name)));
    schemas.push((name, T::schema()));
    T::schemas(schemas);
    content
}
