//! Which problems an operation can answer with, each with an example made from the table of kinds.

use super::endpoint::Endpoint;
use crate::problem::context::{RequestContext, TRACEPARENT};
use crate::problem::field_fault::{Fault, FieldFault};
use crate::problem::kind::{self, KINDS, Kind};
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
const ANY: &[&Kind] = &[
    &kind::BAD_HEADER,
    &kind::MISDIRECTED_HOST,
    &kind::FOREIGN_ORIGIN,
    &kind::INTERNAL,
    &kind::NOT_IMPLEMENTED,
    &kind::OVERLOADED,
    &kind::TIMED_OUT,
];

/// The problems of every request about the market.
const MARKET: &[&Kind] = &[&kind::INVALID, &kind::UNAVAILABLE, &kind::NEWER_PROGRAM];

/// The problems of every read.
const READ: &[&Kind] = &[&kind::VIEWS_BEHIND];

/// The problems of every write.
const WRITE: &[&Kind] = &[
    &kind::MALFORMED_JSON,
    &kind::BODY_TOO_LARGE,
    &kind::UNSUPPORTED_MEDIA_TYPE,
    &kind::UNSUPPORTED_ENCODING,
    &kind::ACTOR_REQUIRED,
    &kind::REQUEST_TIMEOUT,
    &kind::WRONG_ACTOR,
    &kind::STALE_VERSION,
    &kind::PRECONDITION_FAILED,
    &kind::KEY_REUSED,
    &kind::BUSY,
    &kind::OUTCOME_UNKNOWN,
];

const LEND: &[&Kind] = &[
    &kind::NOT_RESERVED,
    &kind::NOT_PAID,
    &kind::TOO_EARLY,
    &kind::PERIOD_OVER,
    &kind::STILL_RENTED,
    &kind::WHICH_RESERVATION,
];
const CANCEL: &[&Kind] = &[
    &kind::ALREADY_LENT,
    &kind::RESERVATION_CLOSED,
    &kind::PAYMENT_PENDING,
    &kind::CANCELLATION_PENDING,
];
const PAY: &[&Kind] = &[
    &kind::PAYMENT_DECLINED,
    &kind::NOT_RESERVED,
    &kind::PAYMENT_PENDING,
    &kind::CANCELLATION_PENDING,
    &kind::RESERVATION_CLOSED,
    &kind::PAYMENT_UNAVAILABLE,
];

/// The problems of one operation alone.
fn own(Endpoint { method, path }: Endpoint<'_>) -> Vec<&'static Kind> {
    let lists: &[&[&Kind]] = match (method, path) {
        ("post", "/items") => &[&[&kind::ALARM_UNAVAILABLE, &kind::REGISTRATION_ABANDONED]],
        ("post", "/items/{itemNo}/lend") => &[LEND],
        ("post", "/items/{itemNo}/return") => &[&[&kind::NOT_RENTING, &kind::WHICH_RESERVATION]],
        ("patch", "/items/{itemNo}") => &[LEND, &[&kind::NOT_RENTING]],
        ("post", "/items/{itemNo}/block") => &[&[&kind::ITEM_TAKEN, &kind::TOO_MANY_BLOCKS]],
        ("post", "/items/{itemNo}/delete") | ("delete", "/items/{itemNo}") => {
            &[&[&kind::ITEM_IN_USE]]
        }
        ("post", "/reservations") => &[&[
            &kind::ITEM_TAKEN,
            &kind::ITEM_UNKNOWN,
            &kind::ITEM_GONE,
            &kind::ITEM_BLOCKED,
            &kind::OWN_ITEM,
            &kind::RESERVATION_CLOSED,
        ]],
        ("post", "/reservations/{reservationNo}/cancel")
        | ("delete", "/reservations/{reservationNo}") => &[CANCEL],
        ("post", "/reservations/{reservationNo}/payment") => &[PAY],
        ("post", "/reservations/{reservationNo}/payment/cancel") => &[CANCEL, &[&kind::NOT_PAID]],
        ("patch", "/reservations/{reservationNo}") => &[PAY, CANCEL, &[&kind::NOT_PAID]],
        ("get", "/reservations/{reservationNo}/trace") => &[&[&kind::WRONG_ACTOR]],
        ("get", "/events") => {
            &[MARKET, &[&kind::WRONG_ACTOR, &kind::ITEM_NOT_FOUND, &kind::RESERVATION_NOT_FOUND]]
        }
        ("get", "/readyz") => &[&[&kind::UNAVAILABLE]],
        _ => &[],
    };
    lists.iter().flat_map(|list| list.iter().copied()).collect()
}

/// The problem of a number in the path that no resource has.
fn absent(path: &str) -> Option<&'static Kind> {
    [
        ("{itemNo}", &kind::ITEM_NOT_FOUND),
        ("{reservationNo}", &kind::RESERVATION_NOT_FOUND),
        ("{paymentNo}", &kind::PAYMENT_NOT_FOUND),
        ("{alarmNo}", &kind::ALARM_NOT_FOUND),
    ]
    .into_iter()
    .find_map(|(number, kind)| path.contains(number).then_some(kind))
}

/// Adds an operation's problems to its answers.
pub(super) fn add(endpoint: Endpoint<'_>, operation: &mut Operation) {
    let mut kinds = ANY.to_vec();
    if endpoint.is_of_the_market() {
        kinds.extend(MARKET);
        // A process may run other services than that of the address.
        kinds.push(&kind::NOT_SERVED_HERE);
        kinds.extend(if endpoint.is_write() { WRITE } else { READ });
        kinds.extend(absent(endpoint.path));
    }
    if endpoint.reads_a_member() {
        kinds.push(&kind::STALE_VERSION);
    }
    kinds.extend(own(endpoint));
    let mut by_status: BTreeMap<u16, BTreeMap<&str, &Kind>> = BTreeMap::new();
    for kind in kinds {
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

/// The problems of addresses that the document doesn't have.
const INTERNAL: &[&Kind] = &[&kind::SERVICE_TOKEN_REFUSED];

/// An example of every other kind, for all answers to refer to.
pub(super) fn examples() -> impl Iterator<Item = (String, RefOr<Example>)> {
    let request = Request::builder()
        .uri("/items")
        .header(TRACEPARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(());
    let context = RequestContext::of(&request.unwrap_or_default());
    KINDS.iter().filter(|kind| !INTERNAL.contains(kind)).map(move |kind| {
        let out_of_range = FieldFault::new("itemPrice", Fault::OutOfRange(1, MAX_PRICE));
        let problem = match kind.code {
            "invalid" => Problem::invalid(vec![out_of_range]),
            _ => Problem::new(kind),
        };
        let body = serde_json::to_value(problem.body(&context)).ok();
        (kind.code.to_owned(), ExampleBuilder::new().summary(kind.title.en).value(body).into())
    })
}
