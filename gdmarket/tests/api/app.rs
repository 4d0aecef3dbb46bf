//! A market for one test: the whole HTTP side in process, on an empty log of either engine.

use crate::documented_answers::assert_documented;
use axum::Router;
use axum::body::Body;
use gdmarket::compose::Market;
use gdmarket::config::{Config, Flag, Sources};
use gdmarket::metrics::register_metrics;
use gdmarket_api::server::{Shutdown, Stage};
use gdmarket_domain::Services;
use gdmarket_testkit::TestDb;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// The `Host` of the requests.
pub(crate) const HOST: &str = "127.0.0.1:8080";

pub(crate) struct App {
    pub(crate) market: Market,
    router: Router,
    stage: watch::Sender<Stage>,
    /// The data folder of a market on PostgreSQL.
    _folder: TempDir,
}

/// A market on SQLite with a database of its own.
pub(crate) struct OwnApp {
    app: App,
    _db: TestDb,
}

impl std::ops::Deref for OwnApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// A market on SQLite with the default settings.
pub(crate) async fn app() -> OwnApp {
    app_with(&[]).await
}

/// A market on SQLite with these settings.
pub(crate) async fn app_with(settings: &[(&'static str, &str)]) -> OwnApp {
    let db = TestDb::sqlite();
    OwnApp { app: App::on(&db, settings).await, _db: db }
}

fn config(db: &TestDb, spare: &TempDir, settings: &[(&'static str, &str)]) -> Config {
    let flag = |key, value: &str| Flag { flag: "test", key, value: value.to_owned() };
    let folder = db.folder().unwrap_or_else(|| spare.path()).display().to_string();
    let mut flags = vec![flag("server.data_dir", &folder)];
    if db.folder().is_none() {
        flags.push(flag("database.url", db.url()));
    }
    flags.extend(settings.iter().map(|(key, value)| flag(key, value)));
    let sources = Sources { flags, ..Sources::default() };
    Config::load(&sources).expect("the test's settings").config
}

impl App {
    pub(crate) async fn on(db: &TestDb, settings: &[(&'static str, &str)]) -> Self {
        let (config, spare) = Self::config(db, settings);
        let market = Market::start(&config).await.expect("the market starts");
        Self::with_router(market, &config, spare)
    }

    /// Without subscriptions: a decision that a request waits for never comes.
    pub(crate) async fn without_subscriptions(
        db: &TestDb,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let (config, spare) = Self::config(db, settings);
        let market = Market::start_writing_only(&config).await.expect("the market starts");
        Self::with_router(market, &config, spare)
    }

    fn config(db: &TestDb, settings: &[(&'static str, &str)]) -> (Config, TempDir) {
        register_metrics(Services::ALL);
        let spare = tempfile::tempdir().expect("a temporary folder");
        (config(db, &spare, settings), spare)
    }

    fn with_router(market: Market, config: &Config, spare: TempDir) -> Self {
        let (stage, shutdown) = Shutdown::new();
        let router = market.router(config, config.server.listen, shutdown);
        Self { market, router, stage, _folder: spare }
    }

    pub(crate) fn start_draining(&self) {
        self.stage.send_replace(Stage::Draining);
    }

    pub(crate) async fn stop(&self) {
        self.market.stop(Duration::from_secs(5)).await;
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::POST, path).json(&body)
    }

    pub(crate) fn patch(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::PATCH, path).json(&body)
    }

    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        let mut headers = HeaderMap::new();
        headers.insert("host", HOST.parse().expect("a host"));
        Call { app: self, method, path: path.to_owned(), headers, body: Vec::new() }
    }
}

/// A request under construction.
pub(crate) struct Call<'a> {
    app: &'a App,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a header"));
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Adds another line of a header.
    pub(crate) fn line(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().expect("a header"));
        self
    }

    pub(crate) fn actor(self, actor: &str) -> Self {
        self.header("x-gdmarket-actor", actor)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string())
    }

    pub(crate) async fn send(self) -> Answer {
        let (method, path) = (self.method.clone(), self.path.clone());
        let answer = self.send_undocumented().await;
        assert_documented(&method, &path, &answer);
        answer
    }

    /// Sends, without comparing the answer with the OpenAPI document.
    pub(crate) async fn send_undocumented(self) -> Answer {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.path);
        *request.headers_mut().expect("a request") = self.headers;
        let request = request.body(Body::from(self.body)).expect("a request");
        let answer = self.app.router.clone().oneshot(request).await.expect("an answer");
        let (parts, mut body) = answer.into_parts();
        let bytes = if parts.headers.get("content-type").is_some_and(|t| t == "text/event-stream") {
            // The stream has no end: the first frame is enough here.
            let frame = body.frame().await.expect("a frame").expect("a frame");
            frame.into_data().expect("data")
        } else {
            body.collect().await.expect("the answer's body").to_bytes()
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// Sends, and expects this status.
    pub(crate) async fn expect(self, status: u16) -> Answer {
        let request_line = format!("{} {}", self.method, self.path);
        let answer = self.send().await;
        assert_eq!(answer.status, status, "{request_line}: {}", answer.text);
        answer
    }

    /// Sends, and expects this refusal.
    pub(crate) async fn refused(self, status: u16, code: &str) -> Answer {
        let answer = self.expect(status).await;
        assert_eq!(answer.code(), code, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        answer
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's text, empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The fields that a problem names.
    pub(crate) fn fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|e| e["field"].as_str().map(str::to_owned)).collect()
    }
}

impl App {
    /// Registers a camera and returns its number.
    pub(crate) async fn camera(&self) -> i64 {
        let body = serde_json::json!({"itemName": "Camera", "itemPrice": 100});
        self.post("/items", body).expect(201).await.json()["itemNo"].as_i64().expect("a number")
    }

    /// Reserves an item for a customer and returns the reservation's number.
    pub(crate) async fn reserved(&self, item_no: i64, customer: i64) -> i64 {
        let body = serde_json::json!({"itemNo": item_no, "customerId": customer});
        let answer = self.post("/reservations", body).expect(201).await.json();
        answer["reservationNo"].as_i64().expect("a number")
    }

    /// Pays a reservation.
    pub(crate) async fn pay(&self, reservation_no: i64) {
        let path = format!("/reservations/{reservation_no}/payment");
        self.call(Method::POST, &path).expect(200).await;
    }

    /// Lends an item.
    pub(crate) async fn lend(&self, item_no: i64) {
        self.call(Method::POST, &format!("/items/{item_no}/lend")).expect(200).await;
    }

    /// Waits until a field has this value: reactions to a write take a moment.
    pub(crate) async fn see(&self, path: &str, pointer: &str, expected: Value) {
        gdmarket_testkit::eventually(Duration::from_secs(10), || async {
            let answer = self.get(path).send().await;
            let seen = answer.json().pointer(pointer).cloned();
            if seen.as_ref() == Some(&expected) {
                Ok(())
            } else {
                Err((path.to_owned(), answer.text))
            }
        })
        .await;
    }
}
