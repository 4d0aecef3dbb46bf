//! `GET /internal/trace`: the events of this log that belong to a trace, in the form of a page of the log. It is asked for
//! with `correlation=ID`, with `announcement=ITEM`, or with `reservation=NO`, `items=NO.NO` and `payments=NO.NO`.

use super::InternalState;
use super::log::ndjson;
use super::remaining_time::RemainingTime;
use super::service_caller::ServiceCaller;
use crate::extract::query::Params;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use axum::extract::State;
use axum::response::Response;
use gdmarket_projections::TraceQuery;
use tokio::time::timeout_at;

pub(super) async fn part(
    State(state): State<InternalState>,
    _caller: ServiceCaller,
    remaining: RemainingTime,
    params: Params,
) -> Result<Response, Problem> {
    let query = query(params)?;
    let read = state.queries.trace_page(state.services, &query);
    let page = timeout_at(remaining.until(), read).await;
    let page = page.map_err(|_| Problem::new(&kind::TIMED_OUT))??;
    Ok(ndjson(page.to_ndjson()))
}

fn query(mut params: Params) -> Result<TraceQuery, Problem> {
    let correlation = params.id("correlation").map(TraceQuery::Correlation);
    let announcement = params.numbers("announcement").into_iter().next();
    let reservation = params.numbers("reservation").into_iter().next();
    let (items, payments) = (params.numbers("items"), params.numbers("payments"));
    params.finish()?;
    let mut queries = [
        correlation,
        announcement.map(TraceQuery::Announcement),
        reservation.map(|no| TraceQuery::Reservation {
            no,
            items: items.into_iter().collect(),
            payments: payments.into_iter().collect(),
        }),
    ]
    .into_iter()
    .flatten();
    let fault = match (queries.next(), queries.next()) {
        (Some(query), None) => return Ok(query),
        (None, _) => Fault::Required,
        (Some(_), Some(_)) => Fault::NotTogetherWith("announcement, reservation"),
    };
    Err(Problem::invalid(vec![FieldFault::new("correlation", fault)]))
}
