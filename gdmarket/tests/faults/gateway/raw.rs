//! Requests written byte by byte, since clients correct paths and headers before they send them.

use gdmarket_testkit::Gateway;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest until an answer comes or a connection is closed.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// The length of the head of a request or an answer, with its empty line.
pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// An answer of the gateway.
#[derive(Debug)]
pub(super) struct RawAnswer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl RawAnswer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.expect("an HTTP answer");
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A header's text, empty if it is absent.
    pub(super) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value).unwrap_or_default()
    }

    /// The problem document, which must be of this kind.
    pub(super) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("/docs/errors/{code}"), "{problem}");
        assert!(problem["errors"].is_array() && problem["errorsOmitted"] == 0, "{problem}");
        assert!(
            self.header("traceparent").contains(problem["traceId"].as_str().unwrap()),
            "{self:?}"
        );
        problem
    }
}

/// Opens a connection and sends the beginning of something.
pub(super) async fn connect(gateway: &Gateway, first: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port())).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    stream
}

/// Everything that comes until the connection is closed or reset.
pub(super) async fn read_until_closed(stream: &mut TcpStream) -> String {
    let mut sent = vec![];
    let end = timeout(SOON, stream.read_to_end(&mut sent)).await.expect("a closed connection");
    drop(end);
    String::from_utf8_lossy(&sent).into_owned()
}

/// Sends these bytes and returns the answer; the request must ask for the connection to be closed.
pub(super) async fn exchange(gateway: &Gateway, request: &str) -> RawAnswer {
    let mut stream = connect(gateway, request).await;
    RawAnswer::parse(&read_until_closed(&mut stream).await)
}

/// Sends a request with these lines of headers and this body.
pub(super) async fn send(
    gateway: &Gateway,
    request_line: &str,
    headers: &str,
    body: &str,
) -> RawAnswer {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    let host = gateway.port();
    let request = format!(
        "{request_line} HTTP/1.1\r\nHost: localhost:{host}\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    );
    exchange(gateway, &request).await
}

/// Sends `GET` without further headers.
pub(super) async fn get(gateway: &Gateway, target: &str) -> RawAnswer {
    send(gateway, &format!("GET {target}"), "", "").await
}
