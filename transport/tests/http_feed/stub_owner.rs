//! An owner of a log that answers what a test wants it to.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The log of an owner, and how it answers.
#[derive(Clone)]
pub(crate) struct OwnedLog {
    pub(crate) status: u16,
    pub(crate) format: u32,
    pub(crate) services: &'static str,
    pub(crate) log_id: u128,
    pub(crate) epoch: i64,
    pub(crate) head: i64,
    pub(crate) events: Vec<Value>,
    pub(crate) ignores_limit: bool,
    pub(crate) declared_extra: usize,
    /// The body in the place of a page.
    pub(crate) body: Option<String>,
}

impl OwnedLog {
    /// A log with holes.
    pub(crate) fn of_reservations(count: i64) -> Self {
        let position = |number: i64| number * 3 - number % 2;
        let event = |number: i64| {
            json!({
                "position": position(number),
                "previous": if number == 1 { 0 } else { position(number - 1) },
                "aggregateType": "reservation",
                "number": number,
                "sequence": 1,
                "eventType": "ReservationRequested",
                "eventVersion": "1",
                "payload": "{}",
                "metadata": "{}",
                "recordedAt": number,
            })
        };
        Self {
            status: 200,
            format: 1,
            services: "reservation",
            log_id: 0x6f0d_61c4_5a0e_4b0c_9d0a_3f6b_16a5_2e05,
            epoch: 3,
            head: position(count),
            events: (1..=count).map(event).collect(),
            ignores_limit: false,
            declared_extra: 0,
            body: None,
        }
    }

    pub(crate) fn position(&self, index: usize) -> i64 {
        self.events[index]["position"].as_i64().unwrap()
    }

    pub(crate) fn positions(&self) -> Vec<i64> {
        (0..self.events.len()).map(|index| self.position(index)).collect()
    }

    pub(crate) fn repeat(&mut self, index: usize) {
        self.events.insert(index, self.events[index].clone());
    }

    fn answer(&self, after: i64, limit: usize) -> String {
        if let Some(body) = &self.body {
            return body.clone();
        }
        let limit = if self.ignores_limit { usize::MAX } else { limit };
        let first = self.events.iter().position(|event| event["position"].as_i64() > Some(after));
        let rest = first.map_or(&[][..], |first| &self.events[first..]);
        let events: Vec<&Value> = rest.iter().take(limit).collect();
        let mut text = json!({
            "format": self.format,
            "services": self.services,
            "logId": uuid::Uuid::from_u128(self.log_id),
            "epoch": self.epoch,
            "head": self.head,
            "events": events.len() + self.declared_extra,
        })
        .to_string();
        for event in events {
            text.push('\n');
            text.push_str(&event.to_string());
        }
        text.push('\n');
        text
    }
}

#[derive(Clone)]
struct Shared {
    log: Arc<Mutex<OwnedLog>>,
    requests: Arc<Mutex<Vec<(String, u64)>>>,
}

/// The owner.
pub(crate) struct StubOwner {
    shared: Shared,
    port: u16,
    serving: JoinHandle<()>,
}

impl StubOwner {
    pub(crate) async fn start(log: OwnedLog) -> Self {
        let shared = Shared { log: Arc::new(Mutex::new(log)), requests: Arc::default() };
        let (port, serving) = serve(shared.clone(), 0).await;
        Self { shared, port, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, OwnedLog> {
        self.shared.log.lock().unwrap()
    }

    pub(crate) fn serve(&self, log: OwnedLog) {
        *self.log() = log;
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut OwnedLog)) {
        change(&mut self.log());
    }

    /// Ends the owner with its connections.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        drop((&mut self.serving).await);
    }

    pub(crate) async fn restart(&mut self, log: OwnedLog) {
        self.serve(log);
        let (_, serving) = serve(self.shared.clone(), self.port).await;
        self.serving = serving;
    }

    pub(crate) fn tokens(&self) -> Vec<String> {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().map(|(token, _)| token.clone()).collect()
    }

    pub(crate) fn timeouts(&self) -> Vec<u64> {
        self.shared.requests.lock().unwrap().iter().map(|(_, timeout)| *timeout).collect()
    }
}

async fn serve(shared: Shared, port: u16) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let routes = Router::new().route("/internal/log", get(page)).with_state(shared);
    let serving = tokio::spawn(async move {
        // Connections end with this task, which owns them.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let routes = hyper_util::service::TowerToHyperService::new(routes.clone());
            let stream = hyper_util::rt::TokioIo::new(stream);
            connections.spawn(async move {
                let http = hyper::server::conn::http1::Builder::new();
                drop(http.serve_connection(stream, routes).await);
            });
        }
    });
    (port, serving)
}

async fn page(
    State(shared): State<Shared>,
    Query(query): Query<HashMap<String, i64>>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let request = (
        text("gdmarket-service-token").to_owned(),
        text("gdmarket-timeout-ms").parse().unwrap_or(0),
    );
    shared.requests.lock().unwrap().push(request);
    let log = shared.log.lock().unwrap();
    let status = StatusCode::from_u16(log.status).unwrap();
    let limit = usize::try_from(query["limit"]).unwrap();
    (status, log.answer(query["after"], limit))
}
