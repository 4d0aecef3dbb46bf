//! What owners do with their items; handing them over and taking them back is in
//! `hand_overs.rs`.

use super::bodies::{DaysBody, ItemPatch, ItemPatchBody, NewItemBody};
use super::write_outcome::WriteOutcome;
use super::{Answer, CommandState, VIEW_WAIT, refuse_if_match, until};
use crate::extract::body::Fields;
use crate::extract::caller::Caller;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::problem::{Problem, kind};
use crate::resource::ItemResource;
use axum::extract::State;
use gdmarket_commands::{CommandError, Executed, NewItem, Registered};
use gdmarket_domain::{Actor, ItemNo, PersonId};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(patch, delete))
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
    let meta = state.meta(&caller, &fields);
    let mut form = Form::new(fields);
    let body = NewItemBody::read(&mut form);
    let NewItemBody { item_name, item_price, owner_id } = form.finish(body)?;
    refuse_if_match(&caller)?;
    let owner_id = owner_of(&caller.actor, owner_id)?;
    let item = NewItem { owner_id, item_name, item_price };
    let Registered { executed, event } = state.commands.register_item(item, &meta).await?;
    let item_no = item_no(&executed)?;
    state.settled(executed.position, 1, until(&caller, VIEW_WAIT)).await;
    let written = WriteOutcome::by(&executed, StatusCode::CREATED);
    match event {
        Some(event) => state.show_new_item(&caller, item_no, (event, written)),
        None => state.show_registered_item(&caller, item_no, (owner_id, written)).await,
    }
}

/// Whose an item is: the actor's, or whom an operator names.
fn owner_of(actor: &Actor, said: Option<PersonId>) -> Result<Option<PersonId>, Problem> {
    match actor {
        Actor::Operator(_) => Ok(said),
        Actor::Owner(me) if said.is_none_or(|said| said == *me) => Ok(Some(*me)),
        Actor::Owner(_) | Actor::Renter(_) | Actor::Process(_) | Actor::Anonymous => {
            Err(Problem::new(&kind::WRONG_ACTOR))
        }
    }
}

fn item_no(executed: &Executed) -> Result<ItemNo, Problem> {
    ItemNo::new(executed.number).map_err(|error| Problem::internal(error.to_string()))
}

/// Change an item, lend it, or take it back.
///
/// `rentalStatus` names a transition (`Renting` lends, `Returned` takes back); without it name and
/// price change for reservations from now on.
#[utoipa::path(patch, path = "/items/{itemNo}", operation_id = "patchItem",
    tag = "items", request_body = ItemPatchBody,
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Done, or so already.", body = ItemResource)))]
pub(super) async fn patch(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let meta = state.item_meta(&caller, &fields, no).await?;
    let mut form = Form::new(fields);
    let patch = ItemPatch::read(&mut form, no);
    match form.finish(patch)? {
        ItemPatch::Lend(reservation_no) => {
            state.hand_over(&caller, no, reservation_no, &meta).await
        }
        ItemPatch::Return(reservation_no) => {
            state.bring_back(&caller, no, reservation_no, &meta).await
        }
        ItemPatch::Change { item_name, item_price } => {
            let executed = state.commands.change_item(no, item_name, item_price, &meta).await;
            state.show_changed(&caller, no, executed).await
        }
    }
}

/// Take an item off the market.
#[utoipa::path(delete, path = "/items/{itemNo}", operation_id = "deleteItem",
    tag = "items",
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Deleted, or so already.", body = ItemResource)))]
pub(super) async fn delete(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let meta = state.item_meta(&caller, &fields, no).await?;
    Form::new(fields).finish(Some(()))?;
    let executed = state.commands.delete_item(no, &meta).await;
    state.show_changed(&caller, no, executed).await
}

/// Take an item off the market.
#[utoipa::path(post, path = "/items/{itemNo}/delete", operation_id = "deleteItemByPost",
    tag = "items",
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Deleted, or so already.", body = ItemResource)))]
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
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Blocked, or so already.", body = ItemResource)))]
pub(super) async fn block(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let meta = state.item_meta(&caller, &fields, no).await?;
    let first_day = state.first_day(&meta).await?;
    let mut form = Form::new(fields);
    let body = DaysBody::read(&mut form, first_day);
    let DaysBody { period } = form.finish(body)?;
    let executed = state.commands.block_period(no, period, &meta).await;
    state.show_changed(&caller, no, executed).await
}

/// Give days free again.
#[utoipa::path(post, path = "/items/{itemNo}/unblock", operation_id = "unblockPeriod",
    tag = "items", request_body = DaysBody,
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Free again, or so already.", body = ItemResource)))]
pub(super) async fn unblock(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let meta = state.item_meta(&caller, &fields, no).await?;
    let mut form = Form::new(fields);
    let body = DaysBody::read(&mut form, None);
    let DaysBody { period } = form.finish(body)?;
    let executed = state.commands.unblock_period(no, period, &meta).await;
    state.show_changed(&caller, no, executed).await
}

impl CommandState {
    async fn show_changed(
        &self,
        caller: &Caller,
        no: ItemNo,
        executed: Result<Executed, CommandError>,
    ) -> Answer {
        let executed = executed?;
        self.settled(executed.position, 1, until(caller, VIEW_WAIT)).await;
        self.show_item(caller, no, WriteOutcome::by(&executed, StatusCode::OK)).await
    }
}
