//! A command that another service sends: its id, its trace, and its body as JSON. A command without an id could not be
//! repeated, so it is refused.

use crate::extract::caller::IDEMPOTENCY_KEY;
use crate::extract::fields::receive;
use crate::problem::context::RequestContext;
use crate::problem::field_fault::{Fault, FieldFault, shape};
use crate::problem::{Problem, kind};
use axum::extract::{FromRequest, Request};
use gdmarket_app::{CallContext, CommandMeta};
use http::HeaderMap;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The body of a request between services.
pub(super) struct ServiceBody<T>(pub(super) T);

/// A command from another service, with its body.
pub(super) struct ServiceCommand<T> {
    command_id: Uuid,
    traceparent: Option<String>,
    pub(super) body: T,
}

impl<T> ServiceCommand<T> {
    /// What goes with the command. Its actor was checked by the service that sends it.
    pub(super) fn meta(&self, context: CallContext) -> Result<CommandMeta, Problem> {
        let meta = context.into_meta(self.command_id, self.traceparent.clone());
        meta.map_err(|error| unreadable(error.to_string()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ServiceBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = receive(request.into_body()).await?;
        let body = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self(body))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ServiceCommand<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let command_id = command_id(request.headers()).ok_or_else(|| {
            let fault = FieldFault::new("Idempotency-Key", Fault::WrongType(shape::KEY));
            Problem::new(&kind::BAD_HEADER).with_errors(vec![fault])
        })?;
        let context = request.extensions().get::<RequestContext>();
        let traceparent = context.map(RequestContext::traceparent);
        let ServiceBody(body) = ServiceBody::from_request(request, state).await?;
        Ok(Self { command_id, traceparent, body })
    }
}

fn command_id(headers: &HeaderMap) -> Option<Uuid> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let id = values.next()?.to_str().ok()?.parse().ok()?;
    values.next().is_none().then_some(id)
}

fn unreadable(cause: String) -> Problem {
    Problem::new(&kind::MALFORMED_JSON).with_cause(cause)
}
