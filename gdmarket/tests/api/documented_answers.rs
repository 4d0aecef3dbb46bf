//! Every answer of the router in these tests must be in the OpenAPI document: the status of the operation,
//! and the code of the problem.

use crate::app::Answer;
use gdmarket_api::openapi;
use http::Method;
use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&openapi::document()).expect("the document"));

/// Checks answers at the addresses of the document.
pub(crate) fn assert_documented(method: &Method, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else { return };
    let status = answer.status.to_string();
    let description = format!("{method} {path} is answered {status}: {}", answer.text);
    let response = operation["responses"].get(&status);
    assert!(response.is_some(), "a status that isn't in the document: {description}");
    if answer.header("content-type") == "application/problem+json" {
        let codes = response.map(|of| &of["content"]["application/problem+json"]["examples"]);
        let code = answer.code();
        let is_known = codes.and_then(|codes| codes.get(&code)).is_some();
        assert!(is_known, "a code that isn't in the document: {description}");
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let (_, item) = paths.iter().find(|(template, _)| matches(path, template))?;
    item.get(method.as_str().to_lowercase())
}

/// Whether an address matches this template, with or without a slash at its end.
fn matches(path: &str, template: &str) -> bool {
    let path = if path == "/" { path } else { path.trim_end_matches('/') };
    let (path, template): (Vec<_>, Vec<_>) =
        (path.split('/').collect(), template.split('/').collect());
    let fits = |(part, expected): (&&str, &&str)| {
        part == expected || expected.starts_with('{') && !part.is_empty()
    };
    path.len() == template.len() && path.iter().zip(&template).all(fits)
}

#[test]
fn addresses_match_only_their_template() {
    for (path, template, fits) in [
        ("/items/", "/items", true),
        ("/items/7", "/items/{itemNo}", true),
        ("/items//", "/items/{itemNo}", false),
        ("/items/7/lend", "/items/{itemNo}", false),
        ("/", "/", true),
    ] {
        assert_eq!(matches(path, template), fits, "{path} {template}");
    }
    assert!(operation(&Method::POST, "/items?x").is_some());
    assert!(operation(&Method::PUT, "/items").is_none());
}
