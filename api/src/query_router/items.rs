//! Reading items, their integrated view and their calendar.

use super::accept::{JSON, MemberType};
use super::listed::{Listed, Statuses};
use super::resource_routes::{list_route, member_route};
use super::{Answer, QueryState, shown};
use crate::extract::caller::Reader;
use crate::extract::path::Numbered;
use crate::extract::query::Params;
use crate::problem::{Problem, kind};
use crate::resource::{FoundBody, Versioned};
use axum::extract::State;
use gdmarket_domain::ItemNo;
use gdmarket_projections::{
    Calendar, Filter, Found, ItemBody, ItemInfoBody, ItemStatus, Page, PageRequest, Queries,
    QueryError,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(list_route::<ItemBody>("listItems", "The items on the market."))
        .routes(member_route::<ItemBody>("getItem", "One item.", "The item."))
        .routes(routes!(calendar))
        .routes(list_route::<ItemInfoBody>(
            "listItemInfoes",
            "The integrated view of the items: who has what, and what was announced.",
        ))
        .routes(member_route::<ItemInfoBody>(
            "getItemInfo",
            "The integrated view of one item.",
            "Its integrated view.",
        ))
}

impl Listed for ItemBody {
    type Number = ItemNo;
    const COLLECTION: &'static str = "items";
    const NUMBER: &'static str = "itemNo";
    const NUMBER_DESCRIPTION: &'static str = "The item.";
    const STATUSES: Statuses = ItemStatus::WORDS;

    async fn find(queries: &Queries, no: ItemNo) -> Result<Option<FoundBody<Self>>, QueryError> {
        queries.item(no).await
    }

    async fn list(
        queries: &Queries,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Page<FoundBody<Self>>, QueryError> {
        queries.items(filter, page).await
    }
}

impl Listed for ItemInfoBody {
    type Number = ItemNo;
    const COLLECTION: &'static str = "itemInfoes";
    const NUMBER: &'static str = "itemNo";
    const NUMBER_DESCRIPTION: &'static str = "The item.";
    const STATUSES: Statuses = ItemStatus::WORDS;

    async fn find(queries: &Queries, no: ItemNo) -> Result<Option<FoundBody<Self>>, QueryError> {
        queries.item_info(no).await
    }

    async fn list(
        queries: &Queries,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Page<FoundBody<Self>>, QueryError> {
        queries.item_infos(filter, page).await
    }
}

/// Which days of an item are taken.
#[utoipa::path(get, path = "/items/{itemNo}/calendar", operation_id = "getCalendar",
    tag = "items",
    params(
        ("itemNo" = i64, Path, description = "The item."),
        ("from" = Option<NaiveDate>, Query, description = "Nothing that ends before this day."),
        ("to" = Option<NaiveDate>, Query, description = "Nothing that begins on or after it.")),
    responses((status = 200, description = "Its calendar.", body = Calendar)))]
async fn calendar(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    Numbered(no): Numbered<ItemNo>,
    mut params: Params,
) -> Answer {
    let (from, to) = (params.day("from"), params.day("to"));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        params.upside_down("from", "to");
    }
    state.catch_up(params).await?;
    let today = state.viewer(actor).today;
    let found = state.queries.calendar(no, from, to, today).await?;
    let Found { version, body, .. } = found.ok_or_else(|| Problem::new(&kind::ITEM_NOT_FOUND))?;
    Ok(shown(&Versioned { version, body }, MemberType(JSON)))
}
