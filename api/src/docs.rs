//! Pages for browsers: the interface (`/docs`) and the pages of problems (`/docs/errors/<code>`). All files are inside
//! the program; no page loads anything from another server.

mod document;
mod markdown;
mod pages;

pub use pages::PAGES;

use crate::problem::context::RequestContext;
use crate::problem::kind::{KINDS, Kind, Language};
use crate::problem::{Problem, kind};
use crate::representation::hash;
use crate::server::compression::Coding;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Response};
use axum::{Extension, Router, routing};
use bytes::Bytes;
use document::{Document, KEPT_FOR_AN_HOUR, REVALIDATED};
use http::{HeaderValue, header};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use utoipa_swagger_ui::{Config, serve};

/// Pages use this server's own files, and no inline script; swagger-ui styles its elements in place.
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

/// The files of swagger-ui, each kept from its first request on.
struct Files {
    config: Arc<Config<'static>>,
    loaded: Mutex<BTreeMap<String, Arc<Document>>>,
}

impl Files {
    fn new() -> Self {
        let config = Arc::new(Config::from("/openapi.json").validator_url("none"));
        Self { config, loaded: Mutex::default() }
    }

    /// `None` if there is no such file.
    fn get(&self, name: &str) -> Result<Option<Arc<Document>>, Problem> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = loaded.get(name) {
            return Ok(Some(Arc::clone(document)));
        }
        let found = serve(name, Arc::clone(&self.config));
        let Some(found) = found.map_err(|error| Problem::internal(error.to_string()))? else {
            return Ok(None);
        };
        let bytes = Bytes::from(found.bytes.into_owned());
        let document = Arc::new(Document::new(&found.content_type, KEPT_FOR_AN_HOUR, bytes));
        loaded.insert(name.to_owned(), Arc::clone(&document));
        Ok(Some(document))
    }
}

/// The routes under `/docs`, and `/openapi.json`.
pub(crate) fn router(openapi: String) -> Router {
    let openapi = Arc::new(Document::new("application/json", REVALIDATED, openapi.into()));
    let interface = Bytes::from_static(INTERFACE.as_bytes());
    let interface = Arc::new(Document::new("text/html; charset=utf-8", REVALIDATED, interface));
    Router::new()
        .route("/openapi.json", routing::get(async move |coding: Coding| openapi.answer(coding)))
        .route("/docs", routing::get(async move |coding: Coding| allowed(interface.answer(coding))))
        .route("/docs/{file}", routing::get(file))
        .route("/docs/errors", routing::get(errors))
        .route("/docs/errors/{code}", routing::get(error))
        .with_state(Arc::new(Files::new()))
}

fn page(html: String) -> Response {
    let etag = format!("\"{}\"", hash(html.as_bytes()));
    let mut response = allowed(Html(html).into_response());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(REVALIDATED));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

/// A page that may use the files of this server.
fn allowed(mut page: Response) -> Response {
    let policy = HeaderValue::from_static(POLICY);
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    page
}

/// A file of swagger-ui.
async fn file(
    State(files): State<Arc<Files>>,
    coding: Coding,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let document = files.get(&name)?.ok_or_else(|| Problem::new(&kind::NOT_FOUND))?;
    Ok(document.answer(coding))
}

/// All kinds of problems.
async fn errors(Extension(context): Extension<RequestContext>) -> Response {
    let language = context.language;
    let mut rows = String::new();
    for kind in KINDS {
        let title = kind.title.in_language(language);
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
    let found = Kind::of(&code).zip(PAGES.iter().find(|(page, _)| *page == code));
    let Some((kind, (_, text))) = found else {
        return Problem::new(&kind::NOT_FOUND).into_response();
    };
    let title = kind.title.in_language(context.language);
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
