//! The caller of a request, and the headers that every write understands.
//!
//! Without log-ins a caller says who it is (`X-Gdmarket-Actor`); a gateway removes that header from requests that come
//! from outside.

use super::conditions::Tags;
use crate::problem::Problem;
use crate::problem::context::RequestContext;
use crate::problem::field_fault::{Fault, FieldFault, shape};
use crate::problem::kind;
use crate::problem::kind::Words;
use axum::extract::FromRequestParts;
use gdmarket_app::Precondition;
use gdmarket_domain::Actor;
use http::request::Parts;
use http::{HeaderMap, header};
use std::convert::Infallible;
use uuid::Uuid;

/// The header that says on whose behalf a request is sent.
pub(crate) const ACTOR: &str = "x-gdmarket-actor";
/// The header that makes a repeat of a write do nothing twice.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The operator that acts when the header is absent.
const DEFAULT_OPERATOR: &str = "local";
/// The longest idempotency key.
const MAX_KEY: usize = 255;

/// Marks a request without an actor, on a server that other machines reach: it may read, without names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anonymous;

/// The caller of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    /// `Idempotency-Key`.
    pub(crate) key: Option<String>,
    /// `If-Match`.
    pub(crate) if_match: Option<Tags>,
    /// `If-None-Match`.
    pub(crate) if_none_match: Option<Tags>,
    /// `Prefer: respond-async`.
    pub(crate) respond_async: bool,
    /// The trace to carry on.
    pub(crate) traceparent: Option<String>,
    pub(crate) correlation_id: Uuid,
    pub(crate) method: String,
    /// The path, without a trailing slash.
    pub(crate) path: String,
}

impl Caller {
    /// The versions that the write may change. Tags of `If-None-Match` are not among them: they name
    /// representations, which must be compared first.
    pub(crate) fn precondition(&self) -> Precondition {
        Precondition {
            one_of: self.if_match.as_ref().and_then(Tags::versions),
            none_of: vec![],
            must_be_new: matches!(self.if_none_match, Some(Tags::Any)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        if parts.extensions.get::<Anonymous>().is_some() {
            return Err(Problem::new(&kind::ACTOR_REQUIRED));
        }
        let context = parts.extensions.get::<RequestContext>();
        let mut faults = vec![];
        let mut report = |name: &str, fault| faults.push(FieldFault::new(name, fault));
        let actor = actor(headers).map_err(|fault| report("X-Gdmarket-Actor", fault));
        let key = key(headers).map_err(|fault| report("Idempotency-Key", fault));
        let if_match =
            Tags::of(headers, &header::IF_MATCH).map_err(|fault| report("If-Match", fault));
        let if_none_match = Tags::of(headers, &header::IF_NONE_MATCH)
            .map_err(|fault| report("If-None-Match", fault));
        let (Ok(actor), Ok(key), Ok(if_match), Ok(if_none_match)) =
            (actor, key, if_match, if_none_match)
        else {
            return Err(Problem::new(&kind::BAD_HEADER).with_errors(faults));
        };
        Ok(Self {
            actor,
            key,
            if_match,
            if_none_match,
            respond_async: prefers_async(headers),
            traceparent: context.map(RequestContext::traceparent),
            correlation_id: context.map_or_else(Uuid::nil, RequestContext::correlation_id),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
        })
    }
}

/// One header's text: visible ASCII, given at most once.
fn single<'h>(headers: &'h HeaderMap, name: &str, shape: Words) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::Duplicate);
    }
    value.to_str().map(|text| Some(text.trim())).map_err(|_| Fault::WrongType(shape))
}

/// The actor that a request names, for reads too.
pub(crate) fn actor(headers: &HeaderMap) -> Result<Actor, Fault> {
    const SHAPE: Words = shape::ACTOR;
    match single(headers, ACTOR, SHAPE)? {
        None => Ok(Actor::Operator(DEFAULT_OPERATOR.to_owned())),
        Some(text) => text.parse().map_err(|_| Fault::WrongType(SHAPE)),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    const SHAPE: Words = shape::KEY;
    let Some(key) = single(headers, IDEMPOTENCY_KEY, SHAPE)? else { return Ok(None) };
    let is_key = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if is_key { Ok(Some(key.to_owned())) } else { Err(Fault::WrongType(SHAPE)) }
}

fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// The actor of a read, on which only the actions and names in the answer depend.
#[derive(Debug, Clone)]
pub(crate) struct Reader(pub(crate) Actor);

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        if parts.extensions.get::<Anonymous>().is_some() {
            return Ok(Self(Actor::Anonymous));
        }
        actor(&parts.headers).map(Self).map_err(|fault| {
            Problem::new(&kind::BAD_HEADER)
                .with_errors(vec![FieldFault::new("X-Gdmarket-Actor", fault)])
        })
    }
}

/// The last event that a follower received. A header that is no text counts as an id that this server never gave out.
#[derive(Debug, Clone)]
pub(crate) struct LastEventId(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let sent = parts.headers.get("last-event-id").filter(|sent| !sent.is_empty());
        Ok(Self(sent.map(|sent| sent.to_str().unwrap_or_default().trim().to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn keys_are_visible_ascii() {
        assert_eq!(key(&with(IDEMPOTENCY_KEY, "a-1")), Ok(Some("a-1".to_owned())));
        for bad in ["", "a b", &"x".repeat(256)] {
            assert!(key(&with(IDEMPOTENCY_KEY, bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn preference_for_an_asynchronous_answer_is_found_among_others() {
        assert!(prefers_async(&with("prefer", "wait=5, respond-async")));
        assert!(!prefers_async(&with("prefer", "return=minimal")));
    }
}
