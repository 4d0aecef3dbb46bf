//! The writes of owners to their items; lending and taking back are in `handovers.rs`.

use super::bodies::{DaysBody, EmptyBody, NewItemBody};
use super::patches::ItemPatch;
use super::{Answer, CommandState, handovers, refuse_if_match};
use crate::extract::caller::Caller;
use crate::extract::fields::Fields;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::resource::ItemResource;
use axum::extract::State;
use gdmarket_app::{ItemChange, NewItem};
use gdmarket_domain::ItemNo;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(patch, delete))
        .routes(routes!(handovers::lend))
        .routes(routes!(handovers::give_back))
        .routes(routes!(block))
        .routes(routes!(unblock))
        .routes(routes!(delete_by_post))
}

/// Register an item.
///
/// Its alarm is raised first; without the alarm there is no item. The owner is the actor, or the one
/// that an operator names.
#[utoipa::path(post, path = "/items", operation_id = "registerItem",
    tag = "items", request_body = NewItemBody,
    responses((status = 201, description = "Registered.", body = ItemResource)))]
pub(super) async fn register(
    State(state): State<CommandState>,
    caller: Caller,
    fields: Fields,
) -> Answer {
    let context = state.context(&caller, &fields);
    let NewItemBody { item_name, item_price, owner_id } = Form::new(fields).body()?;
    refuse_if_match(&caller)?;
    let item = NewItem { owner_id, item_name, item_price };
    let outcome = state.use_cases.register_item(item, &context).await?;
    state.answer(&caller, outcome, StatusCode::CREATED)
}

/// Change an item, lend it, or take it back.
///
/// `rentalStatus` names a transition (`Renting` lends, `Returned` takes back); without it name and
/// price change for reservations from now on.
#[utoipa::path(patch, path = "/items/{itemNo}", operation_id = "patchItem",
    tag = "items", request_body = ItemPatch,
    params(Numbered::<ItemNo>),
    responses((status = 200, description = "Done, or already in the requested state.", body = ItemResource)))]
pub(super) async fn patch(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let context = state.item_context(&caller, &fields, no).await?;
    let outcome = match Form::new(fields).must_repeat("itemNo", &no).body()? {
        ItemPatch::Lend(reservation_no) => {
            state.use_cases.lend_item(no, reservation_no, &context).await?
        }
        ItemPatch::Return(reservation_no) => {
            state.use_cases.return_item(no, reservation_no, &context).await?
        }
        ItemPatch::Change { item_name, item_price } => {
            let change = ItemChange { item_name, item_price };
            state.use_cases.change_item(no, change, &context).await?
        }
    };
    state.answer(&caller, outcome, StatusCode::OK)
}

/// Take an item off the market.
#[utoipa::path(delete, path = "/items/{itemNo}", operation_id = "deleteItem",
    tag = "items",
    params(Numbered::<ItemNo>),
    responses((status = 200, description = "Deleted, or already deleted.", body = ItemResource)))]
pub(super) async fn delete(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let context = state.item_context(&caller, &fields, no).await?;
    let EmptyBody {} = Form::new(fields).body()?;
    let outcome = state.use_cases.delete_item(no, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}

/// Take an item off the market.
#[utoipa::path(post, path = "/items/{itemNo}/delete", operation_id = "deleteItemByPost",
    tag = "items",
    params(Numbered::<ItemNo>),
    responses((status = 200, description = "Deleted, or already deleted.", body = ItemResource)))]
pub(super) async fn delete_by_post(
    state: State<CommandState>,
    caller: Caller,
    number: Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    delete(state, caller, number, fields).await
}

/// Keep days back.
#[utoipa::path(post, path = "/items/{itemNo}/block", operation_id = "blockPeriod",
    tag = "items", request_body = DaysBody,
    params(Numbered::<ItemNo>),
    responses((status = 200, description = "Blocked, or already blocked.", body = ItemResource)))]
pub(super) async fn block(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let context = state.item_context(&caller, &fields, no).await?;
    let first_day = state.use_cases.first_day(&context).await?;
    let DaysBody { period } = Form::new(fields).not_before(first_day).body()?;
    let outcome = state.use_cases.block_period(no, period, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}

/// Give days free again.
#[utoipa::path(post, path = "/items/{itemNo}/unblock", operation_id = "unblockPeriod",
    tag = "items", request_body = DaysBody,
    params(Numbered::<ItemNo>),
    responses((status = 200, description = "Free again, or already free.", body = ItemResource)))]
pub(super) async fn unblock(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let context = state.item_context(&caller, &fields, no).await?;
    let DaysBody { period } = Form::new(fields).body()?;
    let outcome = state.use_cases.unblock_period(no, period, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}
