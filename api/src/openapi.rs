//! The OpenAPI 3.1 document: the routes and bodies from the handlers themselves, the problems from the
//! table of kinds, the common headers once for all.
//!
//! Committed as `docs/openapi.json`; a test holds it
//! to what the program says.

mod problems;
mod requests;

use crate::command_router;
use crate::query_router;
use gdmarket_domain::ids::MAX_ID;
use serde_json::{Map, Value, json};
use utoipa::openapi::{Info, OpenApi, OpenApiBuilder};

/// What everything is called under.
const DESCRIPTION: &str = "A rental market between neighbours. Every write answers with what the \
    event log says came of it; reads come from views. Until log-ins come, callers say who they are \
    with `X-Gdmarket-Actor`, and the server listens on loopback only, unless it is started with \
    `--allow-open`: then a request without that header reads without names, and its writes are 401 \
    `actor-required`. Numbers are taken as strings \
    of digits too, and a trailing slash is served like none.";

/// The document, pretty-printed, with a line feed at its end.
pub fn document() -> String {
    let mut document = described();
    let mut text = serde_json::to_value(built()).unwrap_or_default();
    if let (Some(text), Some(described)) = (text.as_object_mut(), document.as_object_mut()) {
        text.append(described);
    }
    complete(&mut text);
    let pretty = serde_json::to_string_pretty(&text).unwrap_or_default();
    format!("{pretty}\n")
}

fn described() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "GDmarket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [
            {"name": "items", "description": "What is rented out."},
            {"name": "itemInfoes", "description": "The owner's integrated view."},
            {"name": "reservations", "description": "Who wants what, and when."},
            {"name": "payments", "description": "Attempts to pay."},
            {"name": "alarms", "description": "What was announced."},
            {"name": "events", "description": "What happens, as it happens."},
            {"name": "server", "description": "The server itself."},
        ],
    })
}

fn built() -> OpenApi {
    let routes = [command_router::routes().into_openapi(), query_router::routes().into_openapi()];
    let empty = OpenApiBuilder::new().info(Info::new("", "")).build();
    routes.into_iter().fold(empty, OpenApi::merge_from)
}

/// Adds what all operations share: health, headers, problems, links of the answer.
fn complete(document: &mut Value) {
    if let Some(paths) = document.pointer_mut("/paths").and_then(Value::as_object_mut) {
        health(paths);
        for (path, item) in paths.iter_mut() {
            let Some(item) = item.as_object_mut() else { continue };
            for (method, operation) in item.iter_mut() {
                add_parameters(method, path, operation);
                add_not_modified(method, path, operation);
                add_hal(method, path, operation);
                add_answer_headers(method, path, operation);
                problems::add(method, path, operation);
            }
        }
    }
    let components = document.pointer_mut("/components").and_then(Value::as_object_mut);
    if let Some(components) = components {
        components.insert("parameters".to_owned(), parameters());
        components.insert("headers".to_owned(), headers());
        components.insert("examples".to_owned(), problems::examples());
        let schemas = components.entry("schemas").or_insert_with(|| json!({}));
        if let Some(schemas) = schemas.as_object_mut() {
            schemas.insert("Problem".to_owned(), problems::schema());
        }
    }
    requests::narrow(document);
}

fn health(paths: &mut Map<String, Value>) {
    for (path, summary) in [("/livez", "The process turns."), ("/readyz", "It may be asked.")] {
        let answer = json!({"description": "Yes.", "content": {"application/json": {
            "schema": {"type": "object"}}}});
        let operation = json!({"tags": ["server"], "summary": summary,
            "operationId": path.trim_start_matches('/'), "responses": {"200": answer}});
        paths.insert(path.to_owned(), json!({"get": operation}));
    }
}

/// Whether an operation writes.
fn writes(method: &str) -> bool {
    method != "get"
}

/// Whether a path is one of the market's, not of the server itself.
fn is_of_the_market(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    matches!(first, "items" | "itemInfoes" | "reservations" | "payments" | "alarms")
}

fn is_collection(path: &str) -> bool {
    is_of_the_market(path) && path.split('/').count() == 2
}

/// Whether a read of this path is answered with an `ETag`.
fn is_member(path: &str) -> bool {
    is_of_the_market(path) && path.contains('{') && !path.ends_with("/trace")
}

fn add_not_modified(method: &str, path: &str, operation: &mut Value) {
    let responses = operation.pointer_mut("/responses").and_then(Value::as_object_mut);
    if let Some(responses) = responses.filter(|_| !writes(method) && is_member(path)) {
        let description = "`If-None-Match` names this representation.";
        responses.insert("304".to_owned(), json!({"description": description}));
    }
}

/// A member has its links, so that it is HAL too for callers that name that.
fn add_hal(method: &str, path: &str, operation: &mut Value) {
    if writes(method) || !is_member(path) || !path.ends_with('}') {
        return;
    }
    let content = operation.pointer_mut("/responses/200/content").and_then(Value::as_object_mut);
    if let Some(content) = content
        && let Some(json) = content.get("application/json").cloned()
    {
        content.insert("application/hal+json".to_owned(), json);
    }
}

fn add_parameters(method: &str, path: &str, operation: &mut Value) {
    let mut names = vec![];
    if path == "/events" {
        names.push("Actor");
    }
    if is_of_the_market(path) {
        names.push("Actor");
        if writes(method) {
            names.extend(["IdempotencyKey", "IfNoneMatch", "Prefer"]);
            // What doesn't exist yet has no version.
            if !is_collection(path) {
                names.push("IfMatch");
            }
        } else {
            names.push("AtLeast");
            if is_member(path) {
                names.extend(["ReadIfMatch", "ReadIfNoneMatch"]);
            }
        }
        if is_collection(path) && !writes(method) {
            names.extend(["After", "Limit", "Size", "ItemNoFilter"]);
            names.extend(["CustomerIdFilter", "OwnerIdFilter"]);
        }
    }
    names.extend(["AcceptLanguage", "Traceparent"]);
    let refs =
        names.into_iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    let Some(operation) = operation.as_object_mut() else { return };
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.extend(refs);
    }
}

fn add_answer_headers(method: &str, path: &str, operation: &mut Value) {
    let Some(responses) = operation.pointer_mut("/responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, response) in responses {
        let mut names = vec!["Traceparent"];
        if writes(method) {
            names.extend(["ETag", "Gdmarket-At", "Idempotency-Replayed"]);
            if matches!(status.as_str(), "201" | "202") {
                names.push("Location");
            }
        }
        if !writes(method) && is_member(path) {
            names.push("ETag");
        }
        let headers: Map<String, Value> = names
            .into_iter()
            .map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
            .collect();
        if let Some(response) = response.as_object_mut() {
            response.insert("headers".to_owned(), Value::Object(headers));
        }
    }
}

fn parameter(name: &str, place: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": place, "description": description, "schema": schema})
}

fn parameters() -> Value {
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer", "minimum": 1, "maximum": MAX_ID});
    let token = || json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"});
    json!({
        "Actor": parameter("X-Gdmarket-Actor", "header",
            "On whose behalf: `operator:NAME`, `owner:ID` or `renter:ID`. Without it, on a server that \
             listens on loopback, `operator:local`, who may act for anyone; on one that listens beyond \
             loopback nobody, who reads without names and is refused writes with 401 `actor-required`.",
            &json!({"type": "string", "examples": ["renter:1"],
                "pattern": "^(operator:[A-Za-z0-9._-]{1,64}|(owner|renter):[1-9][0-9]{0,15})$"})),
        "IdempotencyKey": parameter("Idempotency-Key", "header",
            "A repeat with the same key does nothing twice and gets the same answer.",
            &json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})),
        "IfMatch": parameter("If-Match", "header",
            "The `ETag`s that the caller has seen, or `*`; another version is refused with 412.",
            &tags()),
        "IfNoneMatch": parameter("If-None-Match", "header",
            "The `ETag`s that the caller has, or `*`: a write of one of them is refused with 412.",
            &tags()),
        "ReadIfMatch": parameter("If-Match", "header",
            "`ETag`s or `*`; another version is refused with 412. Anything else is ignored.", &text()),
        "ReadIfNoneMatch": parameter("If-None-Match", "header",
            "`ETag`s or `*`: a read of one of them is answered with 304. Anything else is ignored.",
            &text()),
        "Prefer": parameter("Prefer", "header",
            "`respond-async`: answer without waiting for what follows.", &text()),
        "AcceptLanguage": parameter("Accept-Language", "header",
            "`ko` or `en`: the language of problems.", &text()),
        "Traceparent": parameter("traceparent", "header", "The W3C trace to carry on.", &text()),
        "AtLeast": parameter("at_least", "query",
            "The `Gdmarket-At` of a write that must be seen; waited for up to 2 s.", &token()),
        "After": parameter("after", "query", "The cursor of the next page.", &token()),
        "Limit": parameter("limit", "query", "How many members at most.",
            &json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100})),
        "Size": parameter("size", "query", "`limit`, as others call it; one of the two.",
            &json!({"type": "integer", "minimum": 1, "maximum": 500})),
        "CustomerIdFilter": parameter("customerId", "query", "Only this renter's.", &number()),
        "OwnerIdFilter": parameter("ownerId", "query", "Only this owner's.", &number()),
        "ItemNoFilter": parameter("itemNo", "query", "Only this item's.", &number()),
    })
}

/// `*`, or a list of entity tags.
fn tags() -> Value {
    let tag = "(W/)?\"[!#-~]*\"";
    json!({"type": "string", "examples": ["\"3.0f1e2d3c4b5a6978\""],
        "pattern": format!("^(\\*|{tag}( *, *{tag})*)$")})
}

fn headers() -> Value {
    let header =
        |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "ETag": header("`\"N.H\"`: the version of what the body shows, and a hash of the representation."),
        "Gdmarket-At": header("What the write did, for `?at_least=`."),
        "Idempotency-Replayed": header("`true` on the answer to a repeat."),
        "Location": header("Where the resource is."),
        "Traceparent": header("The W3C trace of this request."),
    })
}

#[cfg(test)]
mod tests {
    use super::document;
    use crate::problem::kind::KINDS;
    use serde_json::Value;
    use std::path::Path;

    #[test]
    fn the_committed_document_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == document(),
            "docs/openapi.json is old; type: cargo run -- openapi > docs/openapi.json"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut found = vec![];
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_problem_of_an_operation_is_one_of_the_table() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut told = std::collections::BTreeSet::new();
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values())
        {
            for response in operation["responses"].as_object().unwrap().values() {
                let examples = &response["content"]["application/problem+json"]["examples"];
                told.extend(
                    examples.as_object().into_iter().flatten().map(|(code, _)| code.clone()),
                );
            }
        }
        for code in &told {
            assert!(KINDS.iter().any(|kind| kind.code == code), "{code}");
        }
        assert!(told.len() > 35, "{told:?}");
    }
}
