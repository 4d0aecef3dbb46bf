//! `POST /internal/alarms/{itemNo}/raise`: the item service announces a registration.

use super::InternalState;
use super::remaining_time::RemainingTime;
use super::service_caller::ServiceCaller;
use super::service_command::ServiceCommand;
use crate::extract::path::Numbered;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use gdmarket_app::{AlarmAnswer, RaiseRequest};
use gdmarket_domain::{ItemNo, Service};

pub(super) async fn raise(
    State(state): State<InternalState>,
    caller: ServiceCaller,
    remaining: RemainingTime,
    Numbered(item_no): Numbered<ItemNo>,
    command: ServiceCommand<RaiseRequest>,
) -> Result<Json<AlarmAnswer>, Problem> {
    caller.must_be(Service::Item)?;
    let meta = command.meta(command.body.context.clone())?;
    let within = remaining.left_to_begin()?;
    Ok(Json(state.use_cases.raise_alarm(item_no, within, &meta).await?))
}
