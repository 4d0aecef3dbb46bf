//! Reading items, their integrated view, their calendar and their alarms.

use super::collection::{self, Asked, Hal, MemberType, Plain};
use super::{QueryState, member};
use crate::extract::caller::Reader;
use crate::extract::path::{AlarmNumber, Numbered};
use crate::extract::query::Params;
use crate::problem::{Problem, kind};
use crate::resource::render;
use crate::resource::{AlarmResource, ItemInfoResource, ItemResource, Versioned};
use axum::extract::State;
use axum::response::Response;
use chrono::NaiveDate;
use gdmarket_domain::ItemNo;
use gdmarket_projections::{AlarmStatus, ItemStatus};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

type Answer = Result<Response, Problem>;

/// The members of `/items` in HAL.
#[derive(Serialize, ToSchema)]
struct Items {
    items: Vec<ItemResource>,
}

/// The members of `/itemInfoes` in HAL.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ItemInfoes {
    item_infoes: Vec<ItemInfoResource>,
}

/// The members of `/alarms` in HAL.
#[derive(Serialize, ToSchema)]
struct Alarms {
    alarms: Vec<AlarmResource>,
}

/// Days that are taken, without a word of by whom.
#[derive(Serialize, ToSchema)]
struct Calendar {
    /// Merged and in order.
    busy: Vec<Busy>,
}

/// A stretch of taken days.
#[derive(Serialize, ToSchema)]
struct Busy {
    /// The first day taken.
    from: NaiveDate,
    /// The first day free again; `null` until the item is returned.
    #[schema(required)]
    to: Option<NaiveDate>,
    /// There, and `true`, while something that should be back is not: then today is taken at least.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    overdue: bool,
}

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(routes!(items))
        .routes(routes!(item))
        .routes(routes!(calendar))
        .routes(routes!(item_infos))
        .routes(routes!(item_info))
        .routes(routes!(alarms))
        .routes(routes!(alarm))
}

/// The items on the market.
#[utoipa::path(get, path = "/items", operation_id = "listItems",
    tag = "items",
    responses((status = 200, description = "A page.", content(
        (Hal<Items> = "application/hal+json"), (Plain<ItemResource> = "application/json")))))]
async fn items(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    asked: Asked,
    mut params: Params,
) -> Answer {
    let (filter, page) = collection::read(&mut params, ItemStatus::WORDS);
    state.catch_up(params).await?;
    let viewer = state.viewer(actor);
    let found = state.queries.items(&filter, page).await;
    let page = render::page(found, |row| render::item(row, &viewer))?;
    Ok(collection::answer(&asked, "items", page))
}

/// One item.
#[utoipa::path(get, path = "/items/{itemNo}", operation_id = "getItem",
    tag = "items",
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "The item.", body = ItemResource)))]
async fn item(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    Numbered(no): Numbered<ItemNo>,
    shown_as: MemberType,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let viewer = state.viewer(actor);
    let found = render::one(state.queries.item(no).await, |row| render::item(row, &viewer))?;
    Ok(member(found, &kind::ITEM_NOT_FOUND, shown_as))
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
    let found = render::one(state.queries.calendar(no, from, to, today).await, |row| {
        let busy = row.body.busy.iter().map(|busy| Busy {
            from: busy.span.from,
            to: busy.span.to,
            overdue: busy.overdue,
        });
        Versioned { version: row.version, body: Calendar { busy: busy.collect() } }
    })?;
    Ok(member(found, &kind::ITEM_NOT_FOUND, MemberType::JSON))
}

/// The integrated view of the items: who has what, and what was announced.
#[utoipa::path(get, path = "/itemInfoes", operation_id = "listItemInfoes",
    tag = "itemInfoes",
    responses((status = 200, description = "A page.", content(
        (Hal<ItemInfoes> = "application/hal+json"),
        (Plain<ItemInfoResource> = "application/json")))))]
async fn item_infos(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    asked: Asked,
    mut params: Params,
) -> Answer {
    let (filter, page) = collection::read(&mut params, ItemStatus::WORDS);
    state.catch_up(params).await?;
    let viewer = state.viewer(actor);
    let found = state.queries.item_infos(&filter, page).await;
    let page = render::page(found, |row| render::item_info(row, &viewer))?;
    Ok(collection::answer(&asked, "itemInfoes", page))
}

/// The integrated view of one item.
#[utoipa::path(get, path = "/itemInfoes/{itemNo}", operation_id = "getItemInfo",
    tag = "itemInfoes",
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Its integrated view.", body = ItemInfoResource)))]
async fn item_info(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    Numbered(no): Numbered<ItemNo>,
    shown_as: MemberType,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let viewer = state.viewer(actor);
    let found = state.queries.item_info(no).await;
    let found = render::one(found, |row| render::item_info(row, &viewer))?;
    Ok(member(found, &kind::ITEM_NOT_FOUND, shown_as))
}

/// What was announced about items.
#[utoipa::path(get, path = "/alarms", operation_id = "listAlarms",
    tag = "alarms",
    responses((status = 200, description = "A page.", content(
        (Hal<Alarms> = "application/hal+json"), (Plain<AlarmResource> = "application/json")))))]
async fn alarms(
    State(state): State<QueryState>,
    _: Reader,
    asked: Asked,
    mut params: Params,
) -> Answer {
    let (filter, page) = collection::read(&mut params, AlarmStatus::WORDS);
    state.catch_up(params).await?;
    let page = render::page(state.queries.alarms(&filter, page).await, render::alarm)?;
    Ok(collection::answer(&asked, "alarms", page))
}

/// What was announced about one item.
#[utoipa::path(get, path = "/alarms/{alarmNo}", operation_id = "getAlarm",
    tag = "alarms",
    params(("alarmNo" = i64, Path, description = "The alarm: its item's number.")),
    responses((status = 200, description = "The alarm.", body = AlarmResource)))]
async fn alarm(
    State(state): State<QueryState>,
    _: Reader,
    Numbered(AlarmNumber(no)): Numbered<AlarmNumber>,
    shown_as: MemberType,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let found = render::one(state.queries.alarm(no).await, render::alarm)?;
    Ok(member(found, &kind::ALARM_NOT_FOUND, shown_as))
}
