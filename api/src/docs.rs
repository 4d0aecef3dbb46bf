//! What a person reads in a browser: the interface (`/docs`) and the pages of problems
//! (`/docs/errors/<code>`). Everything is inside the program; no page asks another server.

mod markdown;
mod pages;

pub use pages::PAGES;

use crate::problem::context::RequestContext;
use crate::problem::kind::{KINDS, Kind, Language};
use crate::problem::{Problem, kind, words};
use crate::representation::hash;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Response};
use axum::{Extension, Router, routing};
use http::{HeaderValue, header};
use std::fmt::Write as _;
use std::sync::Arc;
use utoipa_swagger_ui::{Config, serve};

/// Only this server's own files, and none of them inline; swagger-ui styles its elements in place.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

const INTERFACE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GDmarket: the interface</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/index.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/swagger-ui-standalone-preset.js"></script>
<script src="/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// The routes under `/docs`, and `/openapi.json`.
pub(crate) fn router(openapi: String) -> Router {
    let openapi = Arc::<str>::from(openapi);
    Router::new()
        .route("/openapi.json", routing::get(async move || json(&openapi)))
        .route("/docs", routing::get(async || page(INTERFACE.to_owned())))
        .route("/docs/{file}", routing::get(file))
        .route("/docs/errors", routing::get(errors))
        .route("/docs/errors/{code}", routing::get(error))
        .with_state(Arc::new(Config::from("/openapi.json").validator_url("none")))
}

fn json(text: &str) -> Response {
    let json = HeaderValue::from_static("application/json");
    let etag = format!("\"{}\"", hash(text.as_bytes()));
    cached(([(header::CONTENT_TYPE, json)], text.to_owned()).into_response(), &etag, REVALIDATED)
}

fn page(html: String) -> Response {
    let policy = HeaderValue::from_static(POLICY);
    let etag = format!("\"{}\"", hash(html.as_bytes()));
    let page = ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response();
    cached(page, &etag, REVALIDATED)
}

/// Pages change with the program: caches ask each time whether theirs is current.
const REVALIDATED: &str = "no-cache";
/// The files of swagger-ui change with the program only; they are large.
const KEPT_FOR_AN_HOUR: &str = "public, max-age=3600";

/// The answer with what caches need to know.
fn cached(mut response: Response, etag: &str, control: &'static str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(control));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Accept-Language"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

/// A file of swagger-ui.
async fn file(State(config): State<Arc<Config<'static>>>, Path(file): Path<String>) -> Response {
    match serve(&file, config) {
        Ok(Some(found)) => {
            let content_type = HeaderValue::from_str(&found.content_type)
                .unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let etag = format!("\"{}-{:x}\"", env!("CARGO_PKG_VERSION"), found.bytes.len());
            let mut response =
                ([(header::CONTENT_TYPE, content_type)], found.bytes.into_owned()).into_response();
            if found.gzpipped {
                let gzip = HeaderValue::from_static("gzip");
                response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            }
            cached(response, &etag, KEPT_FOR_AN_HOUR)
        }
        Ok(None) => Problem::new(&kind::NOT_FOUND).into_response(),
        Err(error) => Problem::internal(error.to_string()).into_response(),
    }
}

/// All kinds of problems.
async fn errors(Extension(context): Extension<RequestContext>) -> Response {
    let language = context.language;
    let mut rows = String::new();
    for kind in KINDS {
        let (title, _) = words(kind, language);
        let (code, status) = (kind.code, kind.status.as_u16());
        // Writing to a String doesn't fail.
        let _ = write!(
            rows,
            "<tr><td><a href=\"/docs/errors/{code}\"><code>{code}</code></a></td>\
             <td>{status}</td><td>{title}</td></tr>"
        );
    }
    let title = match language {
        Language::English => "Problems",
        Language::Korean => "오류",
    };
    page(framed(language, title, &format!("<h1>{title}</h1><table>{rows}</table>")))
}

/// The page of one kind of problem, in both languages.
async fn error(
    Extension(context): Extension<RequestContext>,
    Path(code): Path<String>,
) -> Response {
    let found = Kind::of(&code).zip(PAGES.iter().find(|(known, _)| *known == code));
    let Some((kind, (_, text))) = found else {
        return Problem::new(&kind::NOT_FOUND).into_response();
    };
    let (title, _) = words(kind, context.language);
    page(framed(context.language, title, &markdown::html(text)))
}

fn framed(language: Language, title: &str, body: &str) -> String {
    let language = language.tag();
    format!(
        "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · GDmarket</title><style>body{{font:16px/1.6 system-ui,sans-serif;\
         max-width:44rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}\
         code{{background:#f2f2f2;padding:.1em .3em;border-radius:3px}}\
         td{{padding:.3rem .8rem .3rem 0;vertical-align:top}}</style></head>\
         <body>{body}</body></html>\n"
    )
}
