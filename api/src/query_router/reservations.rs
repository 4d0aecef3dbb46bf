//! Reading reservations, and the trace of a reservation.

use super::listed::{Listed, Statuses};
use super::resource_routes::{list_route, member_route};
use super::{Answer, QueryState};
use crate::extract::caller::Reader;
use crate::extract::path::Numbered;
use crate::extract::query::Params;
use crate::problem::{Problem, kind};
use crate::resource::FoundBody;
use crate::trace::{TraceResource, may_read};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use gdmarket_domain::ReservationNo;
use gdmarket_projections::{
    Filter, MissingPart, Page, PageRequest, Queries, QueryError, ReservationBody, ReservationStatus,
};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long the other services have to answer with their parts of a trace; one that doesn't is named.
const TRACE_WAIT: Duration = Duration::from_secs(2);

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(list_route::<ReservationBody>("listReservations", "The reservations."))
        .routes(member_route::<ReservationBody>(
            "getReservation",
            "One reservation.",
            "The reservation.",
        ))
        .routes(routes!(trace))
}

impl Listed for ReservationBody {
    type Number = ReservationNo;
    const COLLECTION: &'static str = "reservations";
    const NUMBER: &'static str = "reservationNo";
    const NUMBER_DESCRIPTION: &'static str = "The reservation.";
    const STATUSES: Statuses = ReservationStatus::WORDS;

    async fn find(
        queries: &Queries,
        no: ReservationNo,
    ) -> Result<Option<FoundBody<Self>>, QueryError> {
        queries.reservation(no).await
    }

    async fn list(
        queries: &Queries,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Page<FoundBody<Self>>, QueryError> {
        queries.reservations(filter, page).await
    }
}

/// The trace of a reservation: its requests and the events that followed, across every stream. For its
/// renter, the item's owner, and operators. Where the market runs as several services, those with events of it are asked,
/// and one that doesn't answer within two seconds is named in `missing`.
#[utoipa::path(get, path = "/reservations/{reservationNo}/trace", operation_id = "traceReservation",
    tag = "reservations",
    params(("reservationNo" = i64, Path, description = "The reservation.")),
    responses((status = 200, description = "Its events as a tree of causes.", body = TraceResource)))]
async fn trace(
    State(state): State<QueryState>,
    Reader(actor): Reader,
    Numbered(no): Numbered<ReservationNo>,
    params: Params,
) -> Answer {
    state.catch_up(params).await?;
    let found = state.traces.reservation(no, TRACE_WAIT).await?;
    let found = found.ok_or_else(|| Problem::new(&kind::RESERVATION_NOT_FOUND))?;
    if !may_read(&actor, &found) {
        return Err(Problem::new(&kind::WRONG_ACTOR));
    }
    for MissingPart { service, problem } in &found.trace.missing {
        tracing::warn!(%service, problem, "a service is missing in the trace of a reservation");
    }
    Ok(Json(TraceResource::of(no, found)).into_response())
}
