//! Handing items over and taking them back. Lending waits for an authorisation that is in flight.

use super::bodies::WhichReservationBody;
use super::write_outcome::WriteOutcome;
use super::{Answer, CommandState, VIEW_WAIT, is_refused, until};
use crate::answers::{Authorisation, HandOver, NEWEST};
use crate::extract::body::Fields;
use crate::extract::caller::Caller;
use crate::extract::form::Form;
use crate::extract::path::Numbered;
use crate::problem::kind;
use crate::resource::ItemResource;
use axum::extract::State;
use gdmarket_commands::{CommandError, CommandMeta, Lending};
use gdmarket_domain::{ItemNo, ReservationNo};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(lend)).routes(routes!(give_back))
}

/// Hand an item over to the renter of a paid reservation.
#[utoipa::path(post, path = "/items/{itemNo}/lend", operation_id = "lendItem",
    tag = "items",
    request_body = WhichReservationBody,
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Lent, or so already.", body = ItemResource)))]
pub(super) async fn lend(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let meta = state.item_meta(&caller, &fields, no).await?;
    let mut form = Form::new(fields);
    let body = WhichReservationBody::read(&mut form);
    let body = form.finish(Some(body))?;
    state.hand_over(&caller, no, body.reservation_no, &meta).await
}

/// Take a lent item back.
#[utoipa::path(post, path = "/items/{itemNo}/return", operation_id = "returnItem",
    tag = "items",
    request_body = WhichReservationBody,
    params(("itemNo" = i64, Path, description = "The item.")),
    responses((status = 200, description = "Taken back, or so already.", body = ItemResource)))]
pub(super) async fn give_back(
    State(state): State<CommandState>,
    caller: Caller,
    Numbered(no): Numbered<ItemNo>,
    fields: Fields,
) -> Answer {
    let meta = state.item_meta(&caller, &fields, no).await?;
    let mut form = Form::new(fields);
    let body = WhichReservationBody::read(&mut form);
    let WhichReservationBody { reservation_no } = form.finish(Some(body))?;
    state.bring_back(&caller, no, reservation_no, &meta).await
}

impl CommandState {
    /// Lends; `not-paid` isn't the last word while somebody pays, or has paid and the item doesn't know
    /// it yet.
    pub(super) async fn hand_over(
        &self,
        caller: &Caller,
        no: ItemNo,
        reservation_no: Option<ReservationNo>,
        meta: &CommandMeta,
    ) -> Answer {
        let patience = until(caller, VIEW_WAIT);
        let mut remember_transient_refusal = false;
        let executed = loop {
            let head = self.answers.head();
            let today = self.today();
            let lending = Lending { reservation_no, today, remember_transient_refusal };
            let refused = match self.commands.lend_item(no, lending, meta).await {
                Err(error) if is_refused(&error, &kind::NOT_PAID) => error,
                Err(error) if is_refused(&error, &kind::NOT_RESERVED) => {
                    let wish = (no, reservation_no, HandOver::Lent);
                    return self.unless_already_done(caller, wish, (meta, error)).await;
                }
                done => break done?,
            };
            let is_remembered = matches!(refused, CommandError::Refused { replayed: true, .. });
            if is_remembered || remember_transient_refusal {
                return Err(refused.into());
            }
            let authorisation = self.answers.authorisation(no, reservation_no).await?;
            // Where nobody is paying it is decided once more, and remembered: a repeat is told the same.
            remember_transient_refusal = authorisation == Authorisation::Absent && meta.keyed;
            let comes = authorisation == Authorisation::UnderWay
                && self.answers.moved_past(head, patience).await;
            if !comes && !remember_transient_refusal {
                return Err(refused.into());
            }
        };
        self.settled(executed.position, 1, until(caller, VIEW_WAIT)).await;
        self.show_item(caller, no, WriteOutcome::by(&executed, StatusCode::OK)).await
    }

    /// Takes a lent item back.
    pub(super) async fn bring_back(
        &self,
        caller: &Caller,
        no: ItemNo,
        reservation_no: Option<ReservationNo>,
        meta: &CommandMeta,
    ) -> Answer {
        match self.commands.return_item(no, reservation_no, meta).await {
            Err(error) if is_refused(&error, &kind::NOT_RENTING) => {
                let wish = (no, reservation_no, HandOver::Returned);
                self.unless_already_done(caller, wish, (meta, error)).await
            }
            done => {
                let executed = done?;
                self.settled(executed.position, 1, until(caller, VIEW_WAIT)).await;
                self.show_item(caller, no, WriteOutcome::by(&executed, StatusCode::OK)).await
            }
        }
    }

    /// The item remembers its last return only. What had happened before for the reservation that is
    /// named, its log knows: then it is no refusal. A repeat is judged by what had happened when the
    /// request came first.
    async fn unless_already_done(
        &self,
        caller: &Caller,
        (no, reservation_no, what): (ItemNo, Option<ReservationNo>, HandOver),
        (meta, refused): (&CommandMeta, CommandError),
    ) -> Answer {
        let version = self.commands.answered_at(meta).await?.unwrap_or(NEWEST);
        let had_happened = match reservation_no {
            Some(reservation) => {
                self.answers.had_happened((no, version), reservation, what).await?
            }
            None => false,
        };
        if !had_happened {
            return Err(refused.into());
        }
        let replayed = matches!(refused, CommandError::Refused { replayed: true, .. });
        let status = StatusCode::OK;
        self.show_item(caller, no, WriteOutcome { status, version, position: 0, replayed }).await
    }
}
