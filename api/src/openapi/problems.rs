//! Which problems an operation can answer with, each with an example made from the table of kinds.

use super::endpoint::Endpoint;
use crate::problem::context::{RequestContext, TRACEPARENT};
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::kind::{KINDS, Kind};
use crate::problem::{PROBLEM_JSON, Problem};
use gdmarket_domain::money::MAX_PRICE;
use http::Request;
use std::collections::BTreeMap;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Response};

/// The problems of every request.
const ANY: &[&str] = &[
    "bad-header",
    "misdirected-host",
    "foreign-origin",
    "internal",
    "not-implemented",
    "overloaded",
    "timed-out",
];

/// The problems of every request about the market.
const MARKET: &[&str] = &["invalid", "unavailable", "newer-program"];

/// The problems of every read.
const READ: &[&str] = &["views-behind"];

/// The problems of every write.
const WRITE: &[&str] = &[
    "malformed-json",
    "body-too-large",
    "unsupported-media-type",
    "unsupported-encoding",
    "actor-required",
    "request-timeout",
    "wrong-actor",
    "stale-version",
    "precondition-failed",
    "key-reused",
    "busy",
    "outcome-unknown",
];

const LEND: &[&str] =
    &["not-reserved", "not-paid", "too-early", "period-over", "still-rented", "which-reservation"];
const CANCEL: &[&str] =
    &["already-lent", "reservation-closed", "payment-pending", "cancellation-pending"];
const PAY: &[&str] = &[
    "payment-declined",
    "not-reserved",
    "payment-pending",
    "cancellation-pending",
    "reservation-closed",
    "payment-unavailable",
];

/// The problems of one operation alone.
fn own(Endpoint { method, path }: Endpoint<'_>) -> Vec<&'static str> {
    let lists: &[&[&str]] = match (method, path) {
        ("post", "/items") => &[&["alarm-unavailable", "registration-abandoned"]],
        ("post", "/items/{itemNo}/lend") => &[LEND],
        ("post", "/items/{itemNo}/return") => &[&["not-renting", "which-reservation"]],
        ("patch", "/items/{itemNo}") => &[LEND, &["not-renting"]],
        ("post", "/items/{itemNo}/block") => &[&["item-taken", "too-many-blocks"]],
        ("post", "/items/{itemNo}/delete") | ("delete", "/items/{itemNo}") => &[&["item-in-use"]],
        ("post", "/reservations") => &[&[
            "item-taken",
            "item-unknown",
            "item-gone",
            "item-blocked",
            "own-item",
            "reservation-closed",
        ]],
        ("post", "/reservations/{reservationNo}/cancel")
        | ("delete", "/reservations/{reservationNo}") => &[CANCEL],
        ("post", "/reservations/{reservationNo}/payment") => &[PAY],
        ("post", "/reservations/{reservationNo}/payment/cancel") => &[CANCEL, &["not-paid"]],
        ("patch", "/reservations/{reservationNo}") => &[PAY, CANCEL, &["not-paid"]],
        ("get", "/reservations/{reservationNo}/trace") => &[&["wrong-actor"]],
        ("get", "/events") => {
            &[MARKET, &["wrong-actor", "item-not-found", "reservation-not-found"]]
        }
        ("get", "/readyz") => &[&["unavailable"]],
        _ => &[],
    };
    lists.iter().flat_map(|list| list.iter().copied()).collect()
}

/// The problem of a number in the path that no resource has.
fn absent(path: &str) -> Option<&'static str> {
    [
        ("{itemNo}", "item-not-found"),
        ("{reservationNo}", "reservation-not-found"),
        ("{paymentNo}", "payment-not-found"),
        ("{alarmNo}", "alarm-not-found"),
    ]
    .into_iter()
    .find_map(|(number, code)| path.contains(number).then_some(code))
}

/// Adds an operation's problems to its answers.
pub(super) fn add(endpoint: Endpoint<'_>, operation: &mut Operation) {
    let mut codes = ANY.to_vec();
    if endpoint.is_of_the_market() {
        codes.extend(MARKET);
        codes.extend(if endpoint.is_write() { WRITE } else { READ });
        codes.extend(absent(endpoint.path));
    }
    if endpoint.reads_a_member() {
        codes.push("stale-version");
    }
    codes.extend(own(endpoint));
    let mut by_status: BTreeMap<u16, BTreeMap<&str, &Kind>> = BTreeMap::new();
    for kind in codes.into_iter().filter_map(Kind::of) {
        by_status.entry(kind.status.as_u16()).or_default().insert(kind.code, kind);
    }
    let responses = by_status.into_iter().map(|(status, kinds)| response(status, &kinds));
    operation.responses.responses.extend(responses);
}

fn response(status: u16, kinds: &BTreeMap<&str, &Kind>) -> (String, RefOr<Response>) {
    let described: Vec<String> =
        kinds.values().map(|kind| format!("`{}`: {}.", kind.code, kind.title.en)).collect();
    let example = |code| (code, RefOr::Ref(Ref::new(format!("#/components/examples/{code}"))));
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(kinds.keys().map(|code| example(*code)));
    let mut response = Response::new(described.join(" "));
    response.content.insert(PROBLEM_JSON.to_owned(), content.build().into());
    if status == 503 {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let wait = HeaderBuilder::new()
            .description(Some("In how many seconds to try again."))
            .schema(Some(seconds));
        response.headers.insert("Retry-After".to_owned(), wait.build().into());
    }
    (status.to_string(), response.into())
}

/// An example of every kind, for all answers to refer to.
pub(super) fn examples() -> impl Iterator<Item = (String, RefOr<Example>)> {
    let request = Request::builder()
        .uri("/items")
        .header(TRACEPARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(());
    let context = RequestContext::of(&request.unwrap_or_default());
    KINDS.iter().map(move |kind| {
        let out_of_range = FieldFault::new("itemPrice", Fault::OutOfRange(1, MAX_PRICE));
        let problem = match kind.code {
            "invalid" => Problem::invalid(vec![out_of_range]),
            _ => Problem::new(kind),
        };
        let body = serde_json::to_value(problem.body(&context)).ok();
        (kind.code.to_owned(), ExampleBuilder::new().summary(kind.title.en).value(body).into())
    })
}
