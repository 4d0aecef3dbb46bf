//! The reading half of the interface: collections, members, calendar, trace, events, metrics. It holds no
//! command; `?at_least=` waits until the views have applied what a write did.

mod accept;
mod alarms;
mod capabilities;
mod collection;
mod event_stream;
mod items;
mod listed;
mod members;
mod meta;
mod payments;
mod reservations;
mod resource_routes;

use crate::extract::query::Params;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use crate::representation::Representation;
use crate::resource::Versioned;
use crate::server::places;
use crate::token::Tokens;
use accept::MemberType;
use axum::body::Body;
use axum::response::Response;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use gdmarket_app::{MarketCondition, Viewer};
use gdmarket_domain::{Actor, Service, Services};
use gdmarket_projections::{Applied, Queries, Traces};
use http::{HeaderValue, header};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;

/// The answer to a read, or why there is none.
type Answer = Result<Response, Problem>;

/// How long a read waits for the write that `?at_least=` names.
const AT_LEAST_WAIT: Duration = Duration::from_secs(2);

/// What the routes that read answer from.
#[derive(Clone)]
pub(crate) struct QueryState {
    pub(crate) queries: Queries,
    pub(crate) traces: Traces,
    pub(crate) applied: Applied,
    pub(crate) tokens: Tokens,
    pub(crate) event_streams: EventStreams,
    pub(crate) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    pub(crate) time_zone: Tz,
    /// What stays as it is of what `/capabilities` answers.
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) condition: Arc<dyn Fn() -> MarketCondition + Send + Sync>,
    pub(crate) links: Arc<RootLinks>,
    pub(crate) render_metrics: fn() -> Option<String>,
}

pub(crate) use capabilities::{Capabilities, Limits};
pub(crate) use event_stream::EventStreams;
pub(crate) use meta::RootLinks;

/// The routes that read, of a process of these services.
pub(crate) fn router(state: QueryState, services: Services) -> OpenApiRouter {
    routes(services).with_state(state)
}

/// The routes alone, for the OpenAPI document.
pub(crate) fn routes(services: Services) -> OpenApiRouter<QueryState> {
    // Those of the process itself exist whichever services it runs.
    let own = OpenApiRouter::new().merge(event_stream::router());
    let own = own.merge(capabilities::router()).merge(meta::router());
    services.iter().fold(own, |router, service| router.merge(routes_of(service)))
}

/// The routes of one service.
pub(crate) fn routes_of(service: Service) -> OpenApiRouter<QueryState> {
    match service {
        Service::Item => items::router(),
        Service::Reservation => reservations::router(),
        Service::Payment => payments::router(),
        Service::Alarm => alarms::router(),
    }
}

impl QueryState {
    fn viewer(&self, actor: Actor) -> Viewer {
        Viewer { actor, today: (self.now)().with_timezone(&self.time_zone).date_naive() }
    }

    /// Reads `at_least`, refuses every parameter that wasn't read, then waits.
    async fn catch_up(&self, mut params: Params) -> Result<(), Problem> {
        let at_least = params.at_least().map(|token| self.tokens.positions(&token));
        if at_least == Some(None) {
            params.refuse_token();
        }
        params.finish()?;
        let Some(positions) = at_least.flatten() else { return Ok(()) };
        let own = self.tokens.own_position(&positions);
        if !self.queries.reaches(own.unwrap_or(0)).await? {
            return Err(Problem::invalid(vec![FieldFault::new("at_least", Fault::UnknownToken)]));
        }
        if self.applied.views_have(&positions) {
            return Ok(());
        }
        if !places::try_begin_waiting() {
            return Err(places::overloaded());
        }
        let now = Instant::now();
        let until = now.checked_add(AT_LEAST_WAIT).unwrap_or(now);
        if self.applied.wait_views_at(&positions, until).await {
            Ok(())
        } else {
            Err(Problem::new(&kind::VIEWS_BEHIND))
        }
    }
}

/// The answer that shows one resource.
fn shown<T: Serialize>(resource: &Versioned<T>, media_type: MemberType) -> Response {
    let representation = Representation::of(resource);
    let etag = representation.etag_header();
    let mut response = Response::new(Body::from(representation.json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type.0));
    if let Some(etag) = etag {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, x-gdmarket-actor"));
    response
}
