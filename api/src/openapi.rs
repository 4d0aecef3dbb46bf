//! The OpenAPI 3.1 document: routes and bodies from the handlers, problems from the table of kinds, and what all
//! operations share, added once.
//!
//! `docs/openapi.json` is the committed copy; a test compares it with the document of this program.

mod components;
mod endpoint;
mod operations;
mod problems;

use crate::{command_router, health, query_router};
use gdmarket_domain::Services;
use serde_json::Value;
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "GDmarket",
        description = "A rental market between neighbours. Every write answers with its \
            outcome from the event log; reads come from views. Until log-ins come, callers say who they are \
            with `X-Gdmarket-Actor`, and the server listens on loopback only, unless it is started with \
            `--allow-open`: then a request without that header reads without names, and its writes are 401 \
            `actor-required`. Numbers are taken as strings \
            of digits too, and a trailing slash is served like none.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This server.")),
    tags(
        (name = "items", description = "What is rented out."),
        (name = "itemInfoes", description = "The owner's integrated view."),
        (name = "reservations", description = "Who wants what, and when."),
        (name = "payments", description = "Attempts to pay."),
        (name = "alarms", description = "What was announced."),
        (name = "events", description = "Events, as they are recorded."),
        (name = "server", description = "The server itself."),
    ),
)]
struct MarketDocument;

/// The document of the whole market, pretty-printed, with a line feed at its end.
pub fn document() -> String {
    let routes = [
        command_router::routes(Services::ALL).into_openapi(),
        query_router::routes(Services::ALL).into_openapi(),
        health::routes().into_openapi(),
    ];
    let mut document =
        routes.into_iter().fold(MarketDocument::openapi(), utoipa::openapi::OpenApi::merge_from);
    let parts: [&dyn Modify; 2] = [&components::SharedComponents, &operations::SharedParts];
    for part in parts {
        part.modify(&mut document);
    }
    // A value orders all keys by name.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    leave_out_default(&mut document);
    let pretty = serde_json::to_string_pretty(&document).unwrap_or_default();
    format!("{pretty}\n")
}

/// Leaves out `required: false`, the default, of the parameters that are added here: utoipa always writes it, and the
/// committed document has never had it.
fn leave_out_default(document: &mut Value) {
    let shared = document.pointer_mut("/components/parameters").and_then(Value::as_object_mut);
    for parameter in shared.into_iter().flat_map(|shared| shared.values_mut()) {
        parameter.as_object_mut().and_then(|parameter| parameter.remove("required"));
    }
    let paths = document.pointer_mut("/paths").and_then(Value::as_object_mut);
    for path in paths.into_iter().flat_map(|paths| paths.values_mut()) {
        let parameters = path.pointer_mut("/get/parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            if parameter["name"] == operations::STATUS {
                parameter.as_object_mut().and_then(|parameter| parameter.remove("required"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::document;
    use crate::problem::kind::KINDS;
    use serde_json::Value;
    use std::path::Path;

    #[test]
    fn committed_document_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == document(),
            "docs/openapi.json is old; run: cargo run -- openapi > docs/openapi.json"
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
        let mut reported = std::collections::BTreeSet::new();
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values())
        {
            for response in operation["responses"].as_object().unwrap().values() {
                let examples = &response["content"]["application/problem+json"]["examples"];
                reported.extend(
                    examples.as_object().into_iter().flatten().map(|(code, _)| code.clone()),
                );
            }
        }
        for code in &reported {
            assert!(KINDS.iter().any(|kind| kind.code == code), "{code}");
        }
        assert!(reported.len() > 35, "{reported:?}");
    }
}
