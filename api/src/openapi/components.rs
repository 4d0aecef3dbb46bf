//! The parts of the document that others refer to: parameters, headers, the schemas of numbers and of problems.

use super::problems;
use crate::extract::period::PeriodBody;
use crate::extract::query::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::extract::values::{integer, number_schemas};
use crate::problem::ProblemBody;
use gdmarket_domain::ids::MAX_ID;
use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{Modify, PartialSchema as _};

/// Adds what operations refer to.
pub(super) struct SharedComponents;

impl Modify for SharedComponents {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        add_headers_of_requests(components);
        add_queries(components);
        add_headers_of_answers(components);
        components.examples.extend(problems::examples());
        let schemas = number_schemas().into_iter().chain([
            // The document has one period: the one of requests, which is stricter than the one of answers.
            ("Period", PeriodBody::schema()),
            ("Problem", ProblemBody::schema()),
        ]);
        components.schemas.extend(schemas.map(|(name, schema)| (name.to_owned(), schema)));
    }
}

macro_rules! add_parameters {
    ($components:ident $place:ident: $($component:literal $name:literal $schema:expr, $description:literal;)*) => {$(
        let parameter = ParameterBuilder::new().name($name).parameter_in(ParameterIn::$place)
            .description(Some($description)).schema(Some($schema));
        $components.parameters.insert($component.to_owned(), parameter.build().into());
    )*};
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn add_headers_of_requests(components: &mut Components) {
    let actor = text()
        .examples([json!("renter:1")])
        .pattern(Some("^(operator:[A-Za-z0-9._-]{1,64}|(owner|renter):[1-9][0-9]{0,15})$"));
    let key = text().min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]+$"));
    add_parameters! { components Header:
        "Actor" "X-Gdmarket-Actor" actor,
            "On whose behalf: `operator:NAME`, `owner:ID` or `renter:ID`. Without it, on a server that \
             listens on loopback, `operator:local`, who may act for anyone; beyond loopback the caller has \
             no actor: it reads without names, and its writes are refused with 401 `actor-required`.";
        "IdempotencyKey" "Idempotency-Key" key,
            "A repeat with the same key does nothing twice and gets the same answer.";
        "IfMatch" "If-Match" tags(),
            "The `ETag`s that the caller has seen, or `*`; another version is refused with 412.";
        "IfNoneMatch" "If-None-Match" tags(),
            "The `ETag`s that the caller has, or `*`: a write of one of them is refused with 412.";
        "ReadIfMatch" "If-Match" text(),
            "`ETag`s or `*`; another version is refused with 412. Anything else is ignored.";
        "ReadIfNoneMatch" "If-None-Match" text(),
            "`ETag`s or `*`: a read of one of them is answered with 304. Anything else is ignored.";
        "Prefer" "Prefer" text(), "`respond-async`: answer without waiting for what follows.";
        "AcceptLanguage" "Accept-Language" text(), "`ko` or `en`: the language of problems.";
        "Traceparent" "traceparent" text(), "The W3C trace to carry on.";
    }
}

fn add_queries(components: &mut Components) {
    let token = || text().pattern(Some("^[A-Za-z0-9_-]+$"));
    let limit = || integer(i64::from(MAX_LIMIT));
    add_parameters! { components Query:
        "AtLeast" "at_least" token(),
            "The `Gdmarket-At` of a write that must be seen; waited for up to 2 s.";
        "After" "after" token(), "The cursor of the next page.";
        "Limit" "limit" limit().default(Some(json!(DEFAULT_LIMIT))), "How many members at most.";
        "Size" "size" limit(), "`limit`, as others call it; one of the two.";
        "CustomerIdFilter" "customerId" integer(MAX_ID), "Only this renter's.";
        "OwnerIdFilter" "ownerId" integer(MAX_ID), "Only this owner's.";
        "ItemNoFilter" "itemNo" integer(MAX_ID), "Only this item's.";
    }
}

/// `*`, or a list of entity tags.
fn tags() -> ObjectBuilder {
    let tag = "(W/)?\"[!#-~]*\"";
    text()
        .examples([json!("\"3.0f1e2d3c4b5a6978\"")])
        .pattern(Some(format!("^(\\*|{tag}( *, *{tag})*)$")))
}

fn add_headers_of_answers(components: &mut Components) {
    for (name, description) in [
        (
            "ETag",
            "`\"N.H\"`: the version of what the body shows, and a hash of the representation.",
        ),
        ("Gdmarket-At", "What the write did, for `?at_least=`."),
        ("Idempotency-Replayed", "`true` on the answer to a repeat."),
        ("Location", "Where the resource is."),
        ("Traceparent", "The W3C trace of this request."),
    ] {
        let header = HeaderBuilder::new().description(Some(description)).schema(Some(text()));
        components.headers.insert(name.to_owned(), header.build().into());
    }
}
