//! A service of a test: it records what reaches it, and answers, hangs or breaks off.

use super::raw::end_of_head;
use gdmarket_testkit::ServiceAddresses;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What a service does with a request that it has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers 200 with its name.
    Answers,
    /// Closes the connection without an answer.
    BreaksOff,
    /// Never answers.
    Hangs,
    /// Streams an event, and another one each time the test asks for it.
    Streams,
}

/// A request as a service received it.
#[derive(Clone, Debug)]
pub(super) struct SeenRequest {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl SeenRequest {
    /// The lines of a header.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The names of all headers, in lower case.
    pub(super) fn header_names(&self) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(key, _)| key.to_ascii_lowercase()).collect()
    }

    /// Method, target and version.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

#[derive(Debug)]
struct State {
    name: &'static str,
    behaviour: Behaviour,
    seen: Mutex<Vec<SeenRequest>>,
    next_event: Notify,
}

/// One running service; it ends when this value is dropped.
#[derive(Debug)]
pub(super) struct Stub {
    port: u16,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl Stub {
    pub(super) async fn start(name: &'static str, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, next_event) = Default::default();
        let state = Arc::new(State { name, behaviour, seen, next_event });
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state, serving }
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub(super) fn seen(&self) -> Vec<SeenRequest> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The only request so far.
    pub(super) fn only(&self) -> SeenRequest {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    /// Streams another event.
    pub(super) fn send_event(&self) {
        self.state.next_event.notify_one();
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut received = vec![];
    while let Some(request) = receive(&mut stream, &mut received).await {
        state.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        match state.behaviour {
            Behaviour::Answers => {
                let name = state.name;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Stub: {name}\r\n\
                     Content-Length: {}\r\n\r\n\"{name}\"",
                    name.len() + 2
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Behaviour::BreaksOff => return,
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Streams => return stream_events(&mut stream, &state).await,
        }
    }
}

/// The end of the connection is the end of the body: a proxy that buffers holds such a body back, and no chunked one.
async fn stream_events(stream: &mut TcpStream, state: &State) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for number in 0.. {
        if stream.write_all(format!("data: {number}\n\n").as_bytes()).await.is_err() {
            return;
        }
        state.next_event.notified().await;
    }
}

/// The next whole request of a connection; `None` once it is closed.
async fn receive(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<SeenRequest> {
    loop {
        if let Some(end) = end_of_head(received) {
            let head = String::from_utf8_lossy(&received[..end]).into_owned();
            let seen = SeenRequest { head, body: vec![] };
            let length = seen.header("content-length").first().map_or(0, |l| l.parse().unwrap());
            if received.len() >= end + length {
                let rest = received.split_off(end + length);
                let body = received.split_off(end);
                *received = rest;
                return Some(SeenRequest { body, ..seen });
            }
        }
        if stream.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

/// The four services, each on a port of its own.
#[derive(Debug)]
pub(super) struct FourStubs {
    pub(super) item: Stub,
    pub(super) reservation: Stub,
    pub(super) payment: Stub,
    pub(super) alarm: Stub,
}

impl FourStubs {
    /// Four services that answer.
    pub(super) async fn start() -> Self {
        Self::with_item(Behaviour::Answers).await
    }

    /// An item service with this behaviour, and three services that answer.
    pub(super) async fn with_item(behaviour: Behaviour) -> Self {
        Self {
            item: Stub::start("item", behaviour).await,
            reservation: Stub::start("reservation", Behaviour::Answers).await,
            payment: Stub::start("payment", Behaviour::Answers).await,
            alarm: Stub::start("alarm", Behaviour::Answers).await,
        }
    }

    pub(super) fn addresses(&self) -> ServiceAddresses {
        ServiceAddresses {
            item: self.item.address(),
            reservation: self.reservation.address(),
            payment: self.payment.address(),
            alarm: self.alarm.address(),
        }
    }

    /// How many requests reached any of them.
    pub(super) fn count(&self) -> usize {
        [&self.item, &self.reservation, &self.payment, &self.alarm]
            .iter()
            .map(|stub| stub.seen().len())
            .sum()
    }
}
