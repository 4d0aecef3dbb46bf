//! Which problems an operation can answer with, each with an example made from the table of kinds.

use super::{is_of_the_market, writes};
use crate::problem::kind::{KINDS, Kind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Every request may meet these.
const ANY: &[&str] = &[
    "bad-header",
    "misdirected-host",
    "foreign-origin",
    "internal",
    "not-implemented",
    "overloaded",
    "timed-out",
];

/// Every request about the market.
const MARKET: &[&str] = &["invalid", "unavailable", "newer-program"];

/// Every read.
const READ: &[&str] = &["views-behind"];

/// Every write.
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

/// What this operation alone may meet.
fn own(method: &str, path: &str) -> Vec<&'static str> {
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

/// The problem of a number in the path that nothing has.
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
pub(super) fn add(method: &str, path: &str, operation: &mut Value) {
    let mut codes = ANY.to_vec();
    if is_of_the_market(path) {
        codes.extend(MARKET);
        codes.extend(if writes(method) { WRITE } else { READ });
        codes.extend(absent(path));
    }
    if !writes(method) && super::is_member(path) {
        codes.push("stale-version");
    }
    codes.extend(own(method, path));
    let mut by_status: BTreeMap<u16, BTreeMap<&str, &Kind>> = BTreeMap::new();
    for kind in codes.into_iter().filter_map(Kind::of) {
        by_status.entry(kind.status.as_u16()).or_default().insert(kind.code, kind);
    }
    let Some(responses) = operation.pointer_mut("/responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, kinds) in by_status {
        responses.insert(status.to_string(), response(status, &kinds));
    }
}

fn response(status: u16, kinds: &BTreeMap<&str, &Kind>) -> Value {
    let described: Vec<String> =
        kinds.values().map(|kind| format!("`{}`: {}.", kind.code, kind.title.en)).collect();
    let examples: Map<String, Value> =
        kinds.keys().map(|code| ((*code).to_owned(), example_of(code))).collect();
    let mut response = json!({
        "description": described.join(" "),
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": examples,
        }},
    });
    if let Some(response) = response.as_object_mut().filter(|_| status == 503) {
        let wait = json!({"description": "In how many seconds to try again.",
            "schema": {"type": "integer", "minimum": 1}});
        response.insert("headers".to_owned(), json!({"Retry-After": wait}));
    }
    response
}

fn example_of(code: &str) -> Value {
    json!({"$ref": format!("#/components/examples/{code}")})
}

/// An example of every kind, for all answers to refer to.
pub(super) fn examples() -> Value {
    KINDS.iter().map(|kind| (kind.code.to_owned(), example(kind))).collect::<Map<_, _>>().into()
}

fn example(kind: &Kind) -> Value {
    let errors = if kind.code == "invalid" {
        json!([{"field": "itemPrice", "code": "out-of-range",
            "message": "must be from 1 to 1000000000"}])
    } else {
        json!([])
    };
    json!({"summary": kind.title.en, "value": {
        "type": kind.page(),
        "title": kind.title.en,
        "status": kind.status.as_u16(),
        "detail": kind.advice.en,
        "instance": "/items",
        "code": kind.code,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "errors": errors,
        "errorsOmitted": 0,
    }})
}

/// The shape of every problem.
pub(super) fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let error = json!({
        "type": "object",
        "required": ["field", "code", "message"],
        "properties": {
            "field": text("A field as `period.from`, a header or a parameter."),
            "code": text("What is wrong with it, for programs."),
            "message": text("What is wrong with it, for people."),
        },
    });
    let fields = [
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
        "traceId",
        "errors",
        "errorsOmitted",
    ];
    json!({
        "type": "object",
        "description": "A refusal (RFC 9457).",
        "required": fields,
        "properties": {
            "type": text("The page that explains it."),
            "title": text("What is wrong, in Korean or English by `Accept-Language`."),
            "status": {"type": "integer", "description": "The status of the answer."},
            "detail": text("What to do about it."),
            "instance": text("The path that was asked."),
            "code": text("What is wrong, for programs; never renamed."),
            "traceId": text("What to tell the operator."),
            "errors": {"type": "array", "maxItems": 20, "items": error,
                "description": "The fields at fault, at most 20."},
            "errorsOmitted": {"type": "integer", "minimum": 0,
                "description": "How many more faults there are."},
        },
    })
}
