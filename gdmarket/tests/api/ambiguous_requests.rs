//! Requests that two programs may interpret differently, written byte by byte to a connection: they are
//! refused. Monitors are answered without a `Host`.

use crate::command_line::PROGRAM;
use gdmarket_testkit::{Server, ServerOptions};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);
const ITEM: &str = r#"{"itemName":"Tent","itemPrice":5}"#;

/// The status of the answer to these bytes.
async fn status(server: &Server, request: &str) -> u16 {
    let mut connection =
        TcpStream::connect(("127.0.0.1", server.port())).await.expect("a connection");
    connection.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    let read = timeout(SOON, connection.read_to_end(&mut answer)).await;
    read.expect("an answer in time").expect("an answer");
    let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// A request of a first line, headers and a body.
fn request(first: &str, lines: &[&str], body: &str) -> String {
    let mut head = vec![first, "Connection: close"];
    head.extend(lines);
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

#[test]
fn ambiguous_requests_are_refused() {
    gdmarket_testkit::run(async {
        let server = ServerOptions::new(PROGRAM).start().await;
        let own = format!("Host: 127.0.0.1:{}", server.port());
        let origin = format!("Origin: http://127.0.0.1:{}", server.port());
        let absolute = format!("GET http://127.0.0.1:{}/items HTTP/1.1", server.port());
        let (json, length) =
            ("Content-Type: application/json", format!("Content-Length: {}", ITEM.len()));
        let chunked = format!("{:x}\r\n{ITEM}\r\n0\r\n\r\n", ITEM.len());
        let post = "POST /items HTTP/1.1";
        for (expected, first, lines, body) in [
            (201, post, vec![&*own, json, &length], ITEM),
            (201, post, vec![&own, json, "Transfer-Encoding: chunked"], &chunked),
            (501, post, vec![&own, json, "Transfer-Encoding: gzip, chunked"], &chunked),
            (201, post, vec![&own, json, &length, &origin], ITEM),
            (403, post, vec![&own, json, &length, "Origin: http://evil.example"], ITEM),
            (400, post, vec![&own, json, &length, &origin, "Origin: http://evil.example"], ITEM),
            (200, &absolute, vec![&own], ""),
            (421, "GET http://evil.example/items HTTP/1.1", vec![&own], ""),
            (421, "GET /items HTTP/1.1", vec!["Host: evil.example"], ""),
            (400, "GET /items HTTP/1.1", vec![&own, "Host: evil.example"], ""),
            (400, "GET /items HTTP/1.1", vec![], ""),
            (400, "GET /items HTTP/1.0", vec![], ""),
            (200, "GET /livez HTTP/1.0", vec![], ""),
            (200, "GET /readyz HTTP/1.0", vec![], ""),
            (200, "GET /livez HTTP/1.1", vec!["Host: balancer.internal"], ""),
            (200, "GET /metrics HTTP/1.1", vec!["Host: scraper.internal"], ""),
            (501, "INVENTED /items HTTP/1.1", vec![&own], ""),
        ] {
            let sent = request(first, &lines, body);
            assert_eq!(status(&server, &sent).await, expected, "{sent}");
        }
    });
}
