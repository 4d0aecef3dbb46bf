//! Refusals as callers see them: `application/problem+json` (RFC 9457).
//!
//! Handlers return a `Problem`; the outermost layer (`answer`) renders it with the request's language, address and
//! trace, and gives a body to the refusals of the framework.

mod advice;
pub(crate) mod context;
pub(crate) mod field_fault;
mod from_errors;
pub mod kind;

use crate::method_name::method_name;
use crate::problem::context::{RequestContext, TRACEPARENT, shortened};
use crate::problem::field_fault::{FieldErrorBody, FieldFault};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use gdmarket_projections::LogLimit;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kind::{Kind, Language};
use serde::Serialize;
use std::future::Future;
use std::time::Duration;
use tracing::Instrument as _;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, Type};

/// The most characters of a path in a log line.
const LOGGED_PATH: usize = 100;
/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// The header of an answer that repeats an earlier one under the same key.
pub(crate) const REPLAYED: &str = "idempotency-replayed";

/// The path of the readiness probe.
const READYZ: &str = "/readyz";

/// Limits the lines about failed requests per code and cause: further ones add nothing.
static FAILURES: LogLimit = LogLimit::new(5, Duration::from_secs(10));
/// Limits the lines about refused requests per code, since callers can cause them at will.
static REFUSALS: LogLimit = LogLimit::new(20, Duration::from_secs(10));

/// A refusal on its way to the caller.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: &'static Kind,
    /// The advice in the place of the kind's.
    detail: Option<Box<Detail>>,
    errors: Vec<FieldFault>,
    retry_after: Option<Duration>,
    headers: Vec<(&'static str, HeaderValue)>,
    /// The cause, for the log; callers never see it.
    cause: Option<String>,
}

/// Advice about one problem, in both languages.
#[derive(Debug, Clone)]
struct Detail {
    en: String,
    ko: String,
}

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemBody<'a> {
    /// The page that explains it.
    #[serde(rename = "type")]
    page: String,
    /// What is wrong, in Korean or English by `Accept-Language`.
    title: &'a str,
    #[schema(schema_with = status_schema)]
    status: u16,
    /// What to do about it.
    detail: String,
    /// The requested path.
    instance: &'a str,
    /// What is wrong, for programs; never renamed.
    code: &'a str,
    /// What to report to the operator.
    trace_id: String,
    /// The fields at fault, at most 20.
    #[schema(inline, max_items = 20)]
    errors: Vec<FieldErrorBody>,
    /// How many more faults there are.
    errors_omitted: usize,
}

/// An integer without a format, which the derive would add.
fn status_schema() -> Object {
    let status = Object::builder().schema_type(Type::Integer);
    status.description(Some("The status of the answer.")).build()
}

/// The most faults that an answer lists.
const MAX_ERRORS: usize = 20;

impl Problem {
    pub(crate) fn new(kind: &'static Kind) -> Self {
        let retry_after =
            matches!(kind.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
                .then_some(Duration::from_secs(1));
        Self { kind, detail: None, errors: vec![], retry_after, headers: vec![], cause: None }
    }

    /// The problem with this code; a code without a kind is an internal error.
    pub(crate) fn of_code(code: &str) -> Self {
        Kind::of(code).map_or_else(
            || Self::internal(format!("no kind of problem is called {code:?}")),
            Self::new,
        )
    }

    /// An error that only an operator can fix; the cause goes to the log.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(&kind::INTERNAL) }
    }

    /// All values that can't be accepted.
    pub(crate) fn invalid(errors: Vec<FieldFault>) -> Self {
        Self { errors, ..Self::new(&kind::INVALID) }
    }

    pub(crate) fn with_errors(self, errors: Vec<FieldFault>) -> Self {
        Self { errors, ..self }
    }

    /// With other advice than the kind's, in English and Korean.
    pub(crate) fn with_detail(self, en: impl Into<String>, ko: impl Into<String>) -> Self {
        Self { detail: Some(Box::new(Detail { en: en.into(), ko: ko.into() })), ..self }
    }

    pub(crate) fn with_cause(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Marks the refusal as the repeat of an earlier one.
    pub(crate) fn replayed(self, replayed: bool) -> Self {
        if replayed { self.with_header(REPLAYED, HeaderValue::from_static("true")) } else { self }
    }

    #[cfg(test)]
    pub(crate) const fn code(&self) -> &'static str {
        self.kind.code
    }

    /// The body of the answer.
    pub(crate) fn body<'a>(&'a self, context: &'a RequestContext) -> ProblemBody<'a> {
        let language = context.language;
        let advice = || advice::of(self.kind, context).in_language(language).to_owned();
        let detail = self.detail.as_deref().map(|Detail { en, ko }| match language {
            Language::English => en.clone(),
            Language::Korean => ko.clone(),
        });
        let listed = self.errors.iter().take(MAX_ERRORS);
        let errors: Vec<_> = listed.map(|error| error.body(language)).collect();
        let errors_omitted = self.errors.len().saturating_sub(errors.len());
        ProblemBody {
            page: self.kind.page(),
            title: self.kind.title.in_language(language),
            status: self.kind.status.as_u16(),
            detail: detail.unwrap_or_else(advice),
            instance: &context.path,
            code: self.kind.code,
            trace_id: context.trace_id(),
            errors,
            errors_omitted,
        }
    }

    pub(crate) fn render(self, context: &RequestContext) -> Response {
        self.log(context);
        let language = context.language;
        // Texts and numbers: always JSON.
        let body = serde_json::to_string(&self.body(context)).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.kind.status;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }

    fn log(&self, context: &RequestContext) {
        let (status, code) = (self.kind.status.as_u16(), self.kind.code);
        let path = shortened(&context.path, LOGGED_PATH);
        let path = path.as_ref();
        let cause = self.cause.as_deref();
        if context.path == READYZ {
            // While a server starts or shuts down, a probe that is refused is no failed request.
            tracing::debug!(status, code, cause, "not ready");
        } else {
            self.log_limited(path, cause);
        }
    }

    fn log_limited(&self, path: &str, cause: Option<&str>) {
        let (status, code) = (self.kind.status.as_u16(), self.kind.code);
        let is_failure = self.kind.status.is_server_error();
        let admitted = match cause {
            Some(cause) if is_failure => FAILURES.admit_cause(code, cause),
            None if is_failure => FAILURES.admit(code),
            _ => REFUSALS.admit(code),
        };
        match admitted {
            Some(left_out) if is_failure => {
                tracing::error!(status, code, path, cause, left_out, "request failed");
            }
            Some(left_out) => {
                tracing::info!(status, code, path, cause, left_out, "request refused");
            }
            None => {}
        }
    }
}

/// Rounded up and at least one, so that no caller comes back too early.
fn whole_seconds(wait: Duration) -> u64 {
    let partial_second = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(partial_second).max(1)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The outermost layer around every request: gives a request its context, and a refusal its body.
pub(crate) async fn answer<F: Future<Output = Response>>(
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let context = RequestContext::of(&request);
    request.extensions_mut().insert(context.clone());
    let span = tracing::info_span!(
        "http.request",
        method = method_name(request.method()).unwrap_or("other"),
        trace_id = %context.trace_id(),
    );
    let response = next(request).instrument(span.clone()).await;
    let mut response = span.in_scope(|| finish(response, &context));
    if let Some(traceparent) = context.traceparent_header() {
        response.headers_mut().insert(TRACEPARENT, traceparent);
    }
    harden(response.headers_mut());
    response
}

/// The content security policy of answers without their own: a page may do nothing with them.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

/// Adds the headers that keep browsers from interpreting an answer as anything else than it is.
pub(crate) fn harden(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

fn finish(mut response: Response, context: &RequestContext) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return problem.render(context);
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let mut problem = Problem::new(by_status(status));
    if let Some(allow) = response.headers().get(header::ALLOW) {
        problem = problem.with_header("allow", allow.clone());
    }
    problem.render(context)
}

/// The kind of a refusal of the framework.
fn by_status(status: StatusCode) -> &'static Kind {
    match status {
        StatusCode::NOT_FOUND => &kind::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => &kind::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => &kind::BODY_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => &kind::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::REQUEST_TIMEOUT => &kind::REQUEST_TIMEOUT,
        StatusCode::SERVICE_UNAVAILABLE => &kind::UNAVAILABLE,
        other if other.is_client_error() => &kind::BAD_HEADER,
        _ => &kind::INTERNAL,
    }
}
