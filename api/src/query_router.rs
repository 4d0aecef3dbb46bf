//! The reading half of the interface: collections, members, calendar, trace, events, metrics. It holds no
//! command; `?at_least=` waits until the views have applied what a write did.

mod collection;
mod event_stream;
mod items;
mod meta;
mod reservations;

use crate::extract::query::Params;
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::{Problem, kind};
use crate::representation::Representation;
use crate::resource::Versioned;
use crate::server::places;
use crate::token::Tokens;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use collection::MemberType;
use gdmarket_app::Viewer;
use gdmarket_domain::Actor;
use gdmarket_projections::{Applied, Queries};
use http::{HeaderValue, header};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;

/// How long a read waits for what `?at_least=` names.
const AT_LEAST_WITHIN: Duration = Duration::from_secs(2);

/// What the reading half works with.
#[derive(Clone)]
pub(crate) struct QueryState {
    pub(crate) queries: Queries,
    pub(crate) applied: Applied,
    pub(crate) tokens: Tokens,
    pub(crate) event_streams: EventStreams,
    pub(crate) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    pub(crate) time_zone: Tz,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) render_metrics: fn() -> Option<String>,
}

pub(crate) use event_stream::EventStreams;
pub(crate) use meta::{Capabilities, Limits};

/// All routes that read.
pub(crate) fn router(state: QueryState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The routes alone, for the OpenAPI document.
pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .merge(items::router())
        .merge(reservations::router())
        .merge(event_stream::router())
        .merge(meta::router())
}

impl QueryState {
    fn viewer(&self, actor: Actor) -> Viewer {
        Viewer { actor, today: (self.now)().with_timezone(&self.time_zone).date_naive() }
    }

    /// Reads `at_least` and refuses every parameter that was not read, then waits.
    async fn catch_up(&self, mut params: Params) -> Result<(), Problem> {
        let wanted = params.at_least().map(|token| self.tokens.position(&token));
        if wanted == Some(None) {
            params.refuse_token();
        }
        params.finish()?;
        let Some(position) = wanted.flatten() else { return Ok(()) };
        if !self.queries.reaches(position).await? {
            return Err(Problem::invalid(vec![FieldFault::new("at_least", Fault::UnknownToken)]));
        }
        if self.applied.views_have(position) {
            return Ok(());
        }
        if !places::wait() {
            return Err(places::overloaded());
        }
        let now = Instant::now();
        let until = now.checked_add(AT_LEAST_WITHIN).unwrap_or(now);
        if self.applied.wait_views(position, until).await {
            Ok(())
        } else {
            Err(Problem::new(&kind::VIEWS_BEHIND))
        }
    }
}

/// The answer that shows one member.
fn member<T: Serialize>(
    found: Option<Versioned<T>>,
    absent: &'static kind::Kind,
    shown_as: MemberType,
) -> Response {
    let Some(found) = found else {
        return Problem::new(absent).into_response();
    };
    let representation = Representation::of(&found);
    let etag = representation.etag_header();
    let mut response = Response::new(Body::from(representation.json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(shown_as.0));
    if let Some(etag) = etag {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, x-gdmarket-actor"));
    response
}
