//! All routes of one market, behind the request pipeline. This file alone gives the writing routes their
//! commands and the reading routes their queries.

use crate::absent_services;
use crate::command_router::{self, CommandState};
use crate::docs;
use crate::extract::fields::MAX_BODY;
use crate::extract::json_object::MAX_DEPTH;
use crate::extract::query::MAX_LIMIT;
use crate::health;
use crate::http_options::HttpOptions;
use crate::internal::{self, InternalState};
use crate::openapi;
use crate::query_router::{self, Capabilities, EventStreams, Limits, QueryState, RootLinks};
use crate::resource::KRW;
use crate::server::guard::Guard;
use crate::server::{Shutdown, request_pipeline};
use crate::token::Tokens;
use axum::Router;
use chrono_tz::Tz;
use gdmarket_app::{ServiceConditions, UseCases};
use gdmarket_domain::Services;
use gdmarket_domain::money::MAX_PRICE;
use gdmarket_domain::name::MAX_NAME;
use gdmarket_domain::rental_period::MAX_DAYS;
use gdmarket_projections::{Applied, Queries, Traces};
use gdmarket_service_token::TokenVerifier;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// How long an idempotency key is remembered at least.
const IDEMPOTENCY_HOURS: u32 = 72;

/// The parts of a running market that its routes answer from.
#[derive(Clone)]
pub struct MarketParts {
    /// The use cases, which write.
    pub use_cases: UseCases,
    /// The views.
    pub queries: Queries,
    /// The traces, with the parts that other services have.
    pub traces: Traces,
    /// The positions that views and reactions have reached.
    pub applied: Applied,
    /// The tokens of the log.
    pub tokens: Tokens,
    /// What this process knows of the services that aren't in it.
    pub conditions: Arc<dyn ServiceConditions>,
}

/// The options of the routes of one market.
#[derive(Debug, Clone)]
pub struct RouterOptions {
    /// The services of this process: only their routes exist.
    pub services: Services,
    /// The address that the server listens on.
    pub listen: SocketAddr,
    /// The limits of the HTTP side.
    pub http: HttpOptions,
    /// The time zone of the market's days.
    pub time_zone: Tz,
    /// What `/capabilities` calls the database's engine.
    pub engine: &'static str,
    /// The text of `/metrics`; `None` if this process records no metrics.
    pub render_metrics: fn() -> Option<String>,
    /// Checks the tokens of the other services; without it they have no routes here.
    pub service_tokens: Option<TokenVerifier>,
}

/// The whole HTTP side: the routes, and the request pipeline before them.
pub fn router(market: MarketParts, options: &RouterOptions, shutdown: Shutdown) -> Router {
    let services = options.services;
    let state = query_state(&market, options, shutdown.clone());
    let reading = query_router::router(state, services);
    let internal = internal(&market, options);
    let MarketParts { use_cases, tokens, .. } = market;
    let writing = command_router::router(CommandState { use_cases, tokens }, services);
    let (routes, _) = writing.merge(reading).merge(health::router(shutdown)).split_for_parts();
    let routes = routes.merge(absent_services::router(services)).merge(internal);
    let routes = routes.merge(docs::router(openapi::document()));
    request_pipeline::around(routes, &options.http, Guard::new(options.listen, &options.http))
}

/// The routes for the other services.
fn internal(market: &MarketParts, options: &RouterOptions) -> Router {
    let Some(tokens) = options.service_tokens.clone() else { return Router::new() };
    let (use_cases, clock) = (market.use_cases.clone(), market.use_cases.clone());
    internal::router(InternalState {
        tokens,
        services: options.services,
        queries: market.queries.clone(),
        use_cases,
        now: Arc::new(move || clock.now()),
    })
}

fn query_state(market: &MarketParts, options: &RouterOptions, shutdown: Shutdown) -> QueryState {
    let (clock, conditions) = (market.use_cases.clone(), Arc::clone(&market.conditions));
    let use_cases = clock.clone();
    let absent = Services::ALL.without(options.services);
    let absent = absent.iter().flat_map(absent_services::paths).collect();
    QueryState {
        queries: market.queries.clone(),
        traces: market.traces.clone(),
        applied: market.applied.clone(),
        tokens: market.tokens.clone(),
        event_streams: EventStreams::new(&options.http, shutdown),
        now: Arc::new(move || use_cases.now()),
        time_zone: options.time_zone,
        capabilities: Arc::new(capabilities(options)),
        condition: Arc::new(move || clock.market_condition(&*conditions)),
        links: Arc::new(RootLinks::without(&absent)),
        render_metrics: options.render_metrics,
    }
}

fn capabilities(options: &RouterOptions) -> Capabilities {
    Capabilities {
        name: "gdmarket",
        version: env!("CARGO_PKG_VERSION"),
        engine: options.engine,
        log_in: false,
        time_zone: options.time_zone.to_string(),
        currency: KRW,
        idempotency_hours: IDEMPOTENCY_HOURS,
        limits: Limits {
            body_bytes: MAX_BODY,
            body_depth: MAX_DEPTH,
            name_characters: MAX_NAME,
            item_price: MAX_PRICE,
            period_days: MAX_DAYS,
            page_members: MAX_LIMIT,
        },
        services: BTreeMap::new(),
        breakers: BTreeMap::new(),
        commands: BTreeMap::new(),
    }
}
