//! The writing half of the interface: each handler parses a request, calls one use case, and renders its outcome.
//! It knows no query: it shows the resource that the use case returns.

mod answer;
mod bodies;
mod handovers;
mod items;
mod patches;
mod payments;
mod reservations;

pub(crate) use bodies::EmptyBody;

use crate::extract::caller::Caller;
use crate::extract::conditions::Tags;
use crate::extract::fields::Fields;
use crate::problem::{Problem, kind};
use crate::representation::Representation;
use crate::resource::{FoundBody, ResourceBody, Versioned, render};
use crate::server::places;
use crate::token::Tokens;
use axum::response::Response;
use gdmarket_app::{
    IncomingRequest, RequestKey, UseCaseError, UseCases, Viewer, WaitPolicy, WriteContext,
};
use gdmarket_domain::{ItemNo, ReservationNo, Service, Services};
use serde::Serialize;
use std::future::Future;
use utoipa_axum::router::OpenApiRouter;

type Answer = Result<Response, Problem>;

/// The state of the writing half.
#[derive(Clone)]
pub(crate) struct CommandState {
    pub(crate) use_cases: UseCases,
    pub(crate) tokens: Tokens,
}

/// The routes that write, of a process of these services.
pub(crate) fn router(state: CommandState, services: Services) -> OpenApiRouter {
    routes(services).with_state(state)
}

/// The routes alone, for the OpenAPI document.
pub(crate) fn routes(services: Services) -> OpenApiRouter<CommandState> {
    services.iter().fold(OpenApiRouter::new(), |router, service| router.merge(routes_of(service)))
}

/// The routes of one service.
pub(crate) fn routes_of(service: Service) -> OpenApiRouter<CommandState> {
    match service {
        Service::Item => items::router(),
        // A payment is requested of its reservation.
        Service::Reservation => reservations::router().merge(payments::router()),
        Service::Payment | Service::Alarm => OpenApiRouter::new(),
    }
}

impl CommandState {
    fn viewer(&self, caller: &Caller) -> Viewer {
        Viewer { actor: caller.actor.clone(), today: self.use_cases.today() }
    }

    /// The context of a request that creates a resource.
    fn context(&self, caller: &Caller, fields: &Fields) -> WriteContext {
        let Caller { actor, key, method, path, .. } = caller;
        let key = key.as_ref().map(|key| RequestKey {
            key: key.clone(),
            method: method.clone(),
            path: path.clone(),
            fingerprint: fields.fingerprint(method, path),
        });
        let wait = if caller.respond_async {
            WaitPolicy::NEVER
        } else {
            WaitPolicy::with_permit(places::try_begin_waiting)
        };
        self.use_cases.context(IncomingRequest {
            actor: actor.clone(),
            correlation_id: caller.correlation_id,
            traceparent: caller.traceparent.clone(),
            precondition: caller.precondition(),
            key,
            wait,
        })
    }

    /// The context of a request that changes an existing resource, which `current` reads if the request names
    /// versions that it must not have.
    async fn context_of<B: ResourceBody>(
        &self,
        caller: &Caller,
        fields: &Fields,
        current: impl Future<Output = Result<Option<FoundBody<B>>, UseCaseError>>,
    ) -> Result<WriteContext, Problem> {
        let mut context = self.context(caller, fields);
        if let Some(tags @ Tags::Listed(_)) = &caller.if_none_match {
            let viewer = self.viewer(caller);
            let current = current.await?.map(|found| render(found, &viewer));
            context.meta.precondition.none_of = named(tags, current.as_ref());
        }
        Ok(context)
    }

    async fn item_context(
        &self,
        caller: &Caller,
        fields: &Fields,
        no: ItemNo,
    ) -> Result<WriteContext, Problem> {
        self.context_of(caller, fields, self.use_cases.item(no)).await
    }

    async fn reservation_context(
        &self,
        caller: &Caller,
        fields: &Fields,
        no: ReservationNo,
    ) -> Result<WriteContext, Problem> {
        self.context_of(caller, fields, self.use_cases.reservation(no)).await
    }
}

/// Refuses `If-Match`: a resource that doesn't exist yet has no version.
fn refuse_if_match(caller: &Caller) -> Result<(), Problem> {
    match caller.if_match {
        Some(_) => Err(Problem::new(&kind::STALE_VERSION)),
        None => Ok(()),
    }
}

/// The version of this representation, if `If-None-Match` names the representation.
fn named<T: Serialize>(tags: &Tags, current: Option<&Versioned<T>>) -> Vec<i64> {
    let named = current.filter(|current| tags.name(&Representation::of(current).etag));
    named.map(|current| current.version).into_iter().collect()
}
