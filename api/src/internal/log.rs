//! `GET /internal/log?after=POSITION&limit=N&wait_ms=N`: the events after a position, as lines of JSON. With `wait_ms` the
//! answer waits that long for the first event, so that a consumer that polls learns of it at once.

use super::InternalState;
use super::remaining_time::RemainingTime;
use super::service_caller::ServiceCaller;
use crate::extract::query::Params;
use crate::problem::{Problem, kind};
use crate::server::places;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use gdmarket_domain::ids::MAX_ID;
use gdmarket_projections::{MAX_LOG_PAGE, QueryError};
use http::{HeaderValue, header};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The events of a page unless the request says otherwise.
const DEFAULT_LIMIT: u32 = 500;
/// The longest wait for an event, in milliseconds.
const MAX_WAIT_MS: i64 = 10_000;

pub(super) async fn page(
    State(state): State<InternalState>,
    _caller: ServiceCaller,
    remaining: RemainingTime,
    mut params: Params,
) -> Result<Response, Problem> {
    let after = params.whole("after", 0, MAX_ID).unwrap_or(0);
    let limit = params.whole("limit", 1, i64::from(MAX_LOG_PAGE));
    let wait_ms = params.whole("wait_ms", 0, MAX_WAIT_MS).unwrap_or(0);
    params.finish()?;
    let limit = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT);
    let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
    let read = async {
        if !wait.is_zero() && !state.queries.reaches(after.saturating_add(1)).await? {
            // A consumer that waits is no work.
            if !places::try_begin_waiting() {
                return Err(places::overloaded());
            }
            let until = remaining.half_of_it().min(Instant::now() + wait);
            state.queries.wait_for_event_after(after, until).await;
        }
        let page = state.queries.log_page(state.services, after, limit).await;
        page.map_err(|error: QueryError| error.into())
    };
    let page = timeout_at(remaining.until(), read).await;
    let page = page.unwrap_or_else(|_| Err(Problem::new(&kind::TIMED_OUT)))?;
    Ok(ndjson(page.to_ndjson()))
}

/// The answer with these lines.
pub(super) fn ndjson(lines: String) -> Response {
    let mut response = Response::new(Body::from(lines));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
