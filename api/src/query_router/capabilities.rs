//! What this server can do, and which command works now: the isolation table with what this process knows of the others.

mod known;

use super::QueryState;
use crate::problem::context::RequestContext;
use crate::problem::kind::Language;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use gdmarket_app::MarketCondition;
use gdmarket_domain::service::PersonCommand;
use http::{HeaderValue, header};
use known::{BreakerCapability, CommandCapability, ServiceCapability};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What this server can do.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capabilities {
    #[schema(value_type = String, example = "gdmarket")]
    pub(crate) name: &'static str,
    #[schema(value_type = String, example = "0.1.0")]
    pub(crate) version: &'static str,
    /// Where the log is: `sqlite` or `postgresql`.
    #[schema(value_type = String, example = "sqlite")]
    pub(crate) engine: &'static str,
    /// Whether callers log in; without it they say who they are.
    pub(crate) log_in: bool,
    /// Where the market's days begin and end.
    pub(crate) time_zone: String,
    #[schema(value_type = String, example = "KRW")]
    pub(crate) currency: &'static str,
    /// How long an idempotency key is remembered at least, in hours.
    pub(crate) idempotency_hours: u32,
    pub(crate) limits: Limits,
    /// What this process knows of each service, by its name.
    #[schema(value_type = BTreeMap<String, ServiceCapability>)]
    pub(crate) services: BTreeMap<&'static str, ServiceCapability>,
    /// The circuit breakers of this process, by what their calls lead to: a service, or the party outside that the
    /// service of that name calls.
    #[schema(value_type = BTreeMap<String, BreakerCapability>)]
    pub(crate) breakers: BTreeMap<&'static str, BreakerCapability>,
    /// Whether each command works now, by its `operationId`. It is a forecast from what this process knows.
    #[schema(value_type = BTreeMap<String, CommandCapability>)]
    pub(crate) commands: BTreeMap<&'static str, CommandCapability>,
}

/// What a request may carry.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) body_depth: usize,
    pub(crate) name_characters: usize,
    pub(crate) item_price: i64,
    pub(crate) period_days: i64,
    pub(crate) page_members: u32,
}

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(capabilities))
}

/// What this server can do, and which command works now.
///
/// A service answers for what it knows: of a command that another process takes it only says so.
#[utoipa::path(get, path = "/capabilities", operation_id = "capabilities",
    tag = "server",
    responses((status = 200, description = "Capabilities.", body = Capabilities)))]
async fn capabilities(
    State(state): State<QueryState>,
    Extension(context): Extension<RequestContext>,
) -> Response {
    let (condition, language) = ((state.condition)(), context.language);
    let mut response = Json(state.capabilities.with(&condition, language)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
    response
}

impl Capabilities {
    /// With what this process knows now.
    fn with(&self, condition: &MarketCondition, language: Language) -> Self {
        let services = condition.services.iter();
        let breakers = condition.breakers.iter();
        let commands = PersonCommand::ALL.into_iter().map(|command| {
            (command.operation(), CommandCapability::new(command, condition, language))
        });
        Self {
            services: services.map(|(service, known)| (service.name(), (*known).into())).collect(),
            breakers: breakers.map(|(service, known)| (service.name(), (*known).into())).collect(),
            commands: commands.collect(),
            ..self.clone()
        }
    }
}
