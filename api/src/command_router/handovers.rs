//! Lending items and taking them back.

use super::bodies::WhichReservationBody;
use super::{Answer, CommandState};
use crate::extract::caller::Caller;
use crate::extract::fields::Fields;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::resource::ItemResource;
use axum::extract::State;
use gdmarket_domain::ItemNo;
use http::StatusCode;

/// Hand an item over to the renter of a paid reservation.
#[utoipa::path(post, path = "/items/{itemNo}/lend", operation_id = "lendItem",
    tag = "items",
    request_body = WhichReservationBody,
    params(Numbered::<ItemNo>),
    responses((status = 200, description = "Lent, or already lent.", body = ItemResource)))]
pub(super) async fn lend(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let context = state.item_context(&caller, &fields, no).await?;
    let WhichReservationBody { reservation_no } = Form::new(fields).body()?;
    let outcome = state.use_cases.lend_item(no, reservation_no, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}

/// Take a lent item back.
#[utoipa::path(post, path = "/items/{itemNo}/return", operation_id = "returnItem",
    tag = "items",
    request_body = WhichReservationBody,
    params(Numbered::<ItemNo>),
    responses((status = 200, description = "Taken back, or already taken back.", body = ItemResource)))]
pub(super) async fn give_back(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let context = state.item_context(&caller, &fields, no).await?;
    let WhichReservationBody { reservation_no } = Form::new(fields).body()?;
    let outcome = state.use_cases.return_item(no, reservation_no, &context).await?;
    state.answer(&caller, outcome, StatusCode::OK)
}
