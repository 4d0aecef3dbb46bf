//! What operations share: parameters, headers of answers, bodies that may be left out, problems. What a schema can't say
//! is listed in docs/testing.md.

use super::endpoint::{Endpoint, operations};
use super::problems;
use crate::command_router::EmptyBody;
use crate::extract::values::{integer, words};
use gdmarket_domain::event_names;
use gdmarket_domain::ids::MAX_ID;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response, Schema};
use utoipa::{Modify, PartialSchema as _};

/// The query parameter that selects members by their status.
pub(super) const STATUS: &str = "status";

/// Adds to every operation what it shares with others.
pub(super) struct SharedParts;

impl Modify for SharedParts {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                let endpoint = Endpoint { method, path };
                add_parameters(endpoint, operation);
                complete_body(endpoint, operation);
                complete_answers(endpoint, operation);
                problems::add(endpoint, operation);
            }
        }
    }
}

fn add_parameters(endpoint: Endpoint<'_>, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    parameters.iter_mut().for_each(narrow);
    let shared = shared_parameters(endpoint).into_iter();
    parameters
        .extend(shared.map(|name| RefOr::Ref(Ref::new(format!("#/components/parameters/{name}")))));
    if let Some(statuses) = statuses_of(endpoint.path).filter(|_| !endpoint.is_write()) {
        let status = ParameterBuilder::new()
            .name(STATUS)
            .parameter_in(ParameterIn::Query)
            .description(Some("Only with this status."))
            .schema(Some(Ref::from_schema_name(statuses)));
        parameters.push(status.build().into());
    }
}

/// Gives numbers their limits, and the types of events their words.
fn narrow(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(Parameter { name, schema: Some(schema), .. }) = parameter else { return };
    let is_number = matches!(schema, RefOr::T(Schema::Object(object))
        if object.format == Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    if is_number {
        *schema = integer(MAX_ID).into();
    } else if name == "type" {
        *schema = words(event_names()).schema_type(Type::String).into();
    }
}

fn shared_parameters(endpoint: Endpoint<'_>) -> Vec<&'static str> {
    let mut names = vec![];
    if endpoint.is_of_the_market() || endpoint.path == "/events" {
        names.push("Actor");
    }
    if endpoint.is_of_the_market() {
        if endpoint.is_write() {
            names.extend(["IdempotencyKey", "IfNoneMatch", "Prefer"]);
            // A resource that doesn't exist yet has no version.
            if !endpoint.is_collection() {
                names.push("IfMatch");
            }
        } else {
            names.push("AtLeast");
            if endpoint.reads_a_member() {
                names.extend(["ReadIfMatch", "ReadIfNoneMatch"]);
            }
            if endpoint.is_collection() {
                names.extend(["After", "Limit", "Size", "ItemNoFilter"]);
                names.extend(["CustomerIdFilter", "OwnerIdFilter"]);
            }
        }
    }
    names.extend(["AcceptLanguage", "Traceparent"]);
    names
}

/// The schema of the words of a collection's `status`.
fn statuses_of(path: &str) -> Option<&'static str> {
    match path {
        "/items" | "/itemInfoes" => Some("ItemStatus"),
        "/alarms" => Some("AlarmStatus"),
        "/reservations" => Some("ReservationProgress"),
        "/payments" => Some("PaymentProgress"),
        _ => None,
    }
}

fn complete_body(Endpoint { method, path }: Endpoint<'_>, operation: &mut Operation) {
    let may_be_absent = path.ends_with("/lend") || path.ends_with("/return");
    match &mut operation.request_body {
        Some(RefOr::T(body)) if may_be_absent => body.required = Some(Required::False),
        None if method == "post" => {
            let body = RequestBodyBuilder::new()
                .description(Some("Nothing, or an empty object."))
                .required(Some(Required::False))
                .content("application/json", Content::new(Some(EmptyBody::schema())));
            operation.request_body = Some(body.build().into());
        }
        _ => {}
    }
}

fn complete_answers(endpoint: Endpoint<'_>, operation: &mut Operation) {
    let answers = &mut operation.responses.responses;
    if endpoint.reads_a_member() {
        let unchanged = Response::new("`If-None-Match` names this representation.");
        answers.insert("304".to_owned(), unchanged.into());
    }
    for (status, answer) in answers {
        let RefOr::T(answer) = answer else { continue };
        // The links of a member make it HAL too, for callers that name that.
        if endpoint.reads_a_member()
            && endpoint.path.ends_with('}')
            && let Some(json) = answer.content.get("application/json").cloned()
        {
            answer.content.insert("application/hal+json".to_owned(), json);
        }
        let headers = headers_of(endpoint, status).into_iter();
        answer.headers.extend(headers.map(|name| {
            (name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{name}"))))
        }));
    }
}

fn headers_of(endpoint: Endpoint<'_>, status: &str) -> Vec<&'static str> {
    let mut names = vec!["Traceparent"];
    if endpoint.is_write() {
        names.extend(["ETag", "Gdmarket-At", "Idempotency-Replayed"]);
        if matches!(status, "201" | "202") {
            names.push("Location");
        }
    } else if endpoint.reads_a_member() {
        names.push("ETag");
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::openapi::document;
    use serde_json::{Value, json};

    fn read() -> Value {
        serde_json::from_str(&document()).unwrap()
    }

    #[test]
    fn body_lists_its_fields_and_whether_it_may_be_absent() {
        let document = read();
        let schemas = &document["components"]["schemas"];
        for name in
            ["NewItem", "NewReservation", "WhichReservation", "Days", "ReservationPatch", "Period"]
        {
            assert_eq!(schemas[name]["additionalProperties"], json!(false), "{name}");
        }
        assert!(schemas["NewItem"]["properties"]["rentalStatus"].is_object());
        assert!(schemas.get("PeriodBody").is_none(), "it is the period of the answers");
        for (path, required) in [
            ("/items", true),
            ("/items/{itemNo}/lend", false),
            ("/items/{itemNo}/delete", false),
            ("/reservations/{reservationNo}/payment", false),
            ("/items/{itemNo}/block", true),
        ] {
            assert_eq!(
                document["paths"][path]["post"]["requestBody"]["required"], required,
                "{path}"
            );
        }
    }

    #[test]
    fn parameter_lists_its_words_and_limits() {
        let document = read();
        let of = |path: &str, name: &str| {
            let all = document["paths"][path]["get"]["parameters"].as_array().unwrap();
            all.iter().find(|p| p["name"] == name).map(|p| p["schema"].clone())
        };
        let words = json!({"$ref": "#/components/schemas/PaymentProgress"});
        assert_eq!(of("/payments", "status"), Some(words));
        assert_eq!(of("/items/{itemNo}", "itemNo").unwrap()["minimum"], 1);
        assert!(of("/events", "type").unwrap()["enum"].as_array().unwrap().len() > 30);
        let created = document["paths"]["/items"]["post"]["parameters"].as_array().unwrap();
        let if_match = json!({"$ref": "#/components/parameters/IfMatch"});
        assert!(!created.contains(&if_match), "a new resource has no version");
    }
}
