//! Connections of bad clients: idle sockets, slow senders, stalled readers and heads that can't be parsed. None keeps
//! other clients from being served, or delays the end of the server.

use gdmarket_testkit::{Server, ServerOptions, eventually};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

const SOON: Duration = Duration::from_secs(10);

async fn server(settings: &[(&str, &str)]) -> Server {
    let options = ServerOptions::new(env!("CARGO_BIN_EXE_gdmarket"));
    let set = |options: ServerOptions, (name, value): &(&str, &str)| {
        options.variable(&format!("GDMARKET__SERVER__{name}"), value)
    };
    settings.iter().fold(options, set).start().await
}

async fn connect(server: &Server, first: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    stream
}

async fn status(server: &Server, path: &str) -> Option<u16> {
    let request = reqwest::get(server.url(path));
    timeout(SOON, request).await.ok()?.ok().map(|answer| answer.status().as_u16())
}

/// Waits until the server has closed a connection, and returns what it sent before.
async fn read_until_closed(stream: &mut TcpStream, within: Duration) -> Option<String> {
    let mut sent = vec![];
    let end = timeout(within, stream.read_to_end(&mut sent)).await.ok()?;
    // A socket with unread bytes is reset.
    drop(end);
    Some(String::from_utf8_lossy(&sent).into_owned())
}

const INCOMPLETE_BODY: &str = "POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                           Content-Length: 50\r\n\r\n{";
const INCOMPLETE_HEAD: &str = "GET /items HTTP/1.1\r\nHost: localhost\r\n";
const COMPLETE_REQUEST: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn incomplete_bodies_leave_room_for_other_requests() {
    let server = server(&[("CONCURRENCY", "4"), ("READING", "8")]).await;
    let mut slow = vec![];
    for _ in 0..40 {
        slow.push(connect(&server, INCOMPLETE_BODY).await);
    }
    // One address may have half of the eight places; its other requests are refused at once.
    let mut refused = 0;
    for stream in &mut slow {
        let mut answer = [0; 12];
        let read = timeout(Duration::from_millis(200), stream.read_exact(&mut answer)).await;
        refused += usize::from(read.is_ok() && answer.ends_with(b"503"));
    }
    assert_eq!(refused, 36);
    for _ in 0..10 {
        assert_eq!(status(&server, "/items").await, Some(200));
    }
}

#[tokio::test]
async fn idle_sockets_are_closed_and_leave_room_for_others() {
    let server = server(&[("CONNECTIONS", "16"), ("ADDRESS_SHARE_PERCENT", "50")]).await;
    let since = Instant::now();
    let mut idle = vec![];
    for _ in 0..60 {
        idle.push(connect(&server, "").await);
    }
    for path in ["/livez", "/items"] {
        assert_eq!(status(&server, path).await, Some(200), "{path}");
    }
    let mut slow_head = connect(&server, INCOMPLETE_HEAD).await;
    for stream in &mut idle {
        assert!(read_until_closed(stream, Duration::from_secs(20)).await.is_some());
    }
    assert!(read_until_closed(&mut slow_head, Duration::from_secs(20)).await.is_some());
    assert!(since.elapsed() > Duration::from_secs(5), "they have some time for a request");
    let lines = server.stderr();
    assert_eq!(lines.matches("one address has its share of the connections").count(), 1, "{lines}");
    assert!(lines.contains("server.address_share_percent to 100"), "{lines}");
}

#[tokio::test]
async fn health_and_metrics_are_answered_when_callers_hold_all_connections() {
    let server = server(&[("CONNECTIONS", "8"), ("ADDRESS_SHARE_PERCENT", "100")]).await;
    let mut followers = vec![];
    for _ in 0..8 {
        let mut stream = connect(&server, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        followers.push(stream);
    }
    assert_eq!(status(&server, "/livez").await, Some(200));
    assert_eq!(status(&server, "/metrics").await, Some(200));
    assert_eq!(status(&server, "/items").await, Some(503));
    assert!(followers.pop().is_some(), "one follower disconnects");
    eventually(SOON, || async {
        match status(&server, "/items").await {
            Some(200) => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[tokio::test]
async fn shutdown_waits_for_complete_requests_only() {
    for signal in ["TERM", "HUP"] {
        let mut server = server(&[]).await;
        let mut streams = vec![];
        for first in [
            "",
            INCOMPLETE_HEAD,
            INCOMPLETE_BODY,
            COMPLETE_REQUEST,
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            streams.push(connect(&server, first).await);
        }
        let mut answer = [0; 15];
        streams[3].read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let since = Instant::now();
        server.signal(signal).await;
        let ended = server.wait(SOON).await;
        assert_eq!(ended.code(), Some(0), "SIG{signal}: {}", server.stderr());
        assert!(since.elapsed() < Duration::from_secs(6), "SIG{signal}: {:?}", since.elapsed());
    }
}

const SLOW_READER: &str = "gdmarket_http_connections_cut_total{reason=\"slow-reader\"} 1";

async fn metrics(server: &Server) -> String {
    reqwest::get(server.url("/metrics")).await.unwrap().text().await.unwrap()
}

fn http_metrics(metrics: &str) -> String {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("gdmarket_http_") && !line.contains("_seconds"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Waits until the metrics contain this text.
async fn wait_for_metric(server: &Server, line: &str) {
    eventually(Duration::from_secs(20), || async {
        let metrics = metrics(server).await;
        if metrics.contains(line) { Ok(()) } else { Err(http_metrics(&metrics)) }
    })
    .await;
}

/// Requests more than the socket buffers hold, and reads nothing.
async fn stalled_reader(server: &Server) -> TcpStream {
    let file = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connect(server, &file.repeat(20)).await
}

#[tokio::test]
async fn connection_of_a_stalled_reader_is_closed() {
    let mut server = server(&[("FINISH_WITHIN_MS", "1000"), ("STALLED_READER_MS", "2000")]).await;
    let mut stalled = stalled_reader(&server).await;
    wait_for_metric(&server, SLOW_READER).await;
    assert!(read_until_closed(&mut stalled, SOON).await.is_some());
    let _stalled = stalled_reader(&server).await;
    server.terminate().await;
    let ended = server.wait(SOON).await;
    assert_eq!(ended.code(), Some(0), "{}", server.stderr());
}

#[tokio::test]
async fn http2_works_without_tls() {
    let server = server(&[]).await;
    let stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for (host, path, expected) in [
        ("localhost", "/items", 200),
        ("localhost", "/docs/swagger-ui-bundle.js", 200),
        ("evil.example", "/items", 421),
        ("evil.example", "/livez", 200),
    ] {
        let request = http::Request::get(format!("http://{host}{path}"));
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{host}{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(!body.is_empty(), "{host}{path}");
    }
    let many = (0..50).map(|_| {
        let request = http::Request::get("http://localhost/items");
        sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap())
    });
    for answer in futures::future::join_all(many).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
}

/// The socket buffers of both ends make room in steps of up to 64 KiB, which take 20 s at this rate.
#[tokio::test]
async fn connection_of_a_slow_reader_stays_open() {
    const BYTES_PER_SECOND: usize = 3 * 1024;
    let server = server(&[]).await;
    let mut reader = stalled_reader(&server).await;
    let mut every = interval(Duration::from_secs(1));
    let mut bytes = vec![0; BYTES_PER_SECOND];
    for second in 0..50 {
        every.tick().await;
        let read = timeout(SOON, reader.read_exact(&mut bytes)).await;
        assert!(matches!(read, Ok(Ok(_))), "after {second} s: {read:?}");
    }
    assert!(!metrics(&server).await.contains("slow-reader"));
}

#[tokio::test]
async fn idle_connection_is_closed_after_the_configured_time() {
    let server = server(&[("KEEP_ALIVE_MS", "1000")]).await;
    let mut idle = connect(&server, COMPLETE_REQUEST).await;
    let sent = read_until_closed(&mut idle, SOON).await.unwrap();
    assert!(sent.starts_with("HTTP/1.1 200 OK"), "{sent}");
    wait_for_metric(&server, "gdmarket_http_connections_cut_total{reason=\"idle\"}").await;
}

#[tokio::test]
async fn incomplete_head_does_not_delay_shutdown() {
    for first in [INCOMPLETE_HEAD.to_owned(), format!("{COMPLETE_REQUEST}{INCOMPLETE_HEAD}")] {
        let mut server = server(&[]).await;
        let mut stream = connect(&server, &first).await;
        if first.len() > INCOMPLETE_HEAD.len() {
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
        }
        // The server has answered a later request, so it has received the first bytes of this one.
        assert_eq!(status(&server, "/livez").await, Some(200));
        server.terminate().await;
        let ended = server.wait(SOON).await;
        assert_eq!(ended.code(), Some(0), "{}", server.stderr());
        assert!(read_until_closed(&mut stream, SOON).await.is_some());
    }
}

type Sender = http2::SendRequest<Empty<bytes::Bytes>>;

/// Opens an HTTP/2 connection whose streams have a window of 64 KiB.
async fn http2_connect(server: &Server) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut client = http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(65_535).initial_connection_window_size(16 * 1024 * 1024);
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn get(sender: &mut Sender, path: &str) -> hyper::Result<http::Response<Incoming>> {
    let request = http::Request::get(format!("http://localhost{path}"));
    sender.send_request(request.body(Empty::new()).unwrap()).await
}

#[tokio::test]
async fn stalled_http2_stream_is_reset_alone() {
    let server = server(&[("STALLED_READER_MS", "2000")]).await;
    let (mut sender, _connection) = http2_connect(&server).await;
    let mut events = get(&mut sender, "/events").await.unwrap().into_body();
    events.frame().await.unwrap().unwrap();
    let stalled = get(&mut sender, "/docs/swagger-ui-bundle.js").await.unwrap();
    wait_for_metric(&server, "gdmarket_http_streams_reset_total 1").await;
    assert_eq!(get(&mut sender, "/items").await.unwrap().status(), 200);
    let register = reqwest::Client::new().post(server.url("/items"));
    let register = register.header("content-type", "application/json");
    let registered = register.body(r#"{"itemName": "Camera", "itemPrice": 100}"#).send().await;
    assert_eq!(registered.unwrap().status(), 201);
    let event = timeout(SOON, events.frame()).await.unwrap().unwrap().unwrap();
    let event = event.into_data().unwrap();
    assert!(String::from_utf8_lossy(&event).contains("data: "), "{event:?}");
    assert!(stalled.into_body().collect().await.is_err(), "the rest of the body is cut off");
    assert!(!metrics(&server).await.contains("slow-reader"));
}

#[tokio::test]
async fn connection_beyond_the_limit_is_closed_after_one_request() {
    let server = server(&[("CONNECTIONS", "1"), ("ADDRESS_SHARE_PERCENT", "100")]).await;
    // Requests from before the server was ready are counted, too.
    let before = refused_before_a_route(&metrics(&server).await);
    let mut follower = connect(&server, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut first = [0; 15];
    follower.read_exact(&mut first).await.unwrap();
    for (path, expected) in [("/items", 503), ("/livez", 200)] {
        let (mut sender, connection) = http2_connect(&server).await;
        let answer = get(&mut sender, path).await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        answer.into_body().collect().await.unwrap();
        timeout(Duration::from_secs(5), connection).await.expect("GOAWAY").unwrap().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut plain = connect(&server, &request).await;
        let sent = read_until_closed(&mut plain, Duration::from_secs(5))
            .await
            .expect("the connection is closed");
        assert!(
            sent.contains(&expected.to_string()) && sent.contains("connection: close"),
            "{sent}"
        );
    }
    let metrics = metrics(&server).await;
    assert!(metrics.contains("gdmarket_http_shed_total 2\n"), "{}", http_metrics(&metrics));
    assert_eq!(refused_before_a_route(&metrics), before + 2, "{}", http_metrics(&metrics));
}

fn refused_before_a_route(metrics: &str) -> u64 {
    let counter = "gdmarket_http_requests_total{method=\"GET\",route=\"none\",status=\"503\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(counter));
    count.map_or(0, |count| count.parse().unwrap())
}

/// hyper answers them by itself, before there is a request.
#[tokio::test]
async fn unparsable_heads_are_answered_with_all_headers_and_counted() {
    let server = server(&[]).await;
    let fields = "X: x\r\n".repeat(101);
    for (head, status) in [
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "400"),
        ("\u{7f} /\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"), "431"),
    ] {
        for before in ["", COMPLETE_REQUEST] {
            let mut stream = connect(&server, &format!("{before}{head}")).await;
            let sent = read_until_closed(&mut stream, SOON).await.unwrap();
            let answer = sent.rsplit_once("HTTP/1.1 ").map_or("", |(_, last)| last);
            assert!(answer.starts_with(status), "{head}: {sent}");
            for line in [
                "x-content-type-options: nosniff\r\n",
                "referrer-policy: no-referrer\r\n",
                "content-security-policy: default-src 'none'",
                "content-length: 0\r\n",
            ] {
                assert_eq!(answer.matches(line).count(), 1, "{line} of {head}: {sent}");
            }
        }
    }
    let metrics = metrics(&server).await;
    for (status, count) in [("400", 6), ("431", 2)] {
        let counted = format!(
            "gdmarket_http_requests_total{{method=\"other\",route=\"none\",status=\"{status}\"}} {count}"
        );
        assert!(metrics.contains(&counted), "{}", http_metrics(&metrics));
    }
}

#[tokio::test]
async fn answer_to_head_has_no_wrong_content_length() {
    let server = server(&[]).await;
    for path in ["/docs/errors", "/openapi.json"] {
        let head = format!(
            "HEAD {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        );
        let mut stream = connect(&server, &head).await;
        let sent = read_until_closed(&mut stream, SOON).await.unwrap();
        assert!(
            sent.starts_with("HTTP/1.1 200") && sent.contains("content-encoding: gzip"),
            "{sent}"
        );
        assert!(!sent.contains("content-length: 0") && sent.ends_with("\r\n\r\n"), "{sent}");
    }
}
