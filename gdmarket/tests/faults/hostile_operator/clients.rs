//! What rude clients do.

use super::scene::Scene;
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

/// Requests by their status.
const REQUESTS: &str = "gdmarket_http_requests_total";
/// Rounds of forged tokens, and how soon all of them are refused: one that was waited for takes 2 s.
const FORGERIES: usize = 5;
const REFUSED_WITHIN: Duration = Duration::from_secs(20);
/// Methods that nobody knows, and how many fields an object has.
const METHODS: usize = 100;
const FIELDS: usize = 2_000;
/// Connections of one address, of each kind.
const SLOW: usize = 100;
/// Health is answered by then, whoever is slow.
const HEALTHY_WITHIN: Duration = Duration::from_secs(1);

/// Every one is refused, and none becomes a label that stays for ever.
pub(super) async fn floods_of_names(scene: &Scene) {
    let client = Client::new();
    for number in 0..METHODS {
        let method = Method::from_bytes(format!("INVENTED{number}").as_bytes()).unwrap();
        let answer = client.request(method, scene.server.url("/items")).send().await;
        let status = answer.expect("an answer").status().as_u16();
        assert!(matches!(status, 405 | 501), "{status}");
    }
    let fields = |number| (format!("field{number}"), Value::from(number));
    let body: Map<String, Value> = (0..FIELDS).map(fields).collect();
    let answer = scene.market.send(Method::POST, "/items", Some(Value::from(body)), None).await;
    let answer = answer.expect("an answer");
    assert!(matches!(answer.status, 400 | 422), "{answer:?}");
    let metrics = client.get(scene.server.url("/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(!metrics.contains("INVENTED"), "{metrics}");
    assert!(metrics.contains(REQUESTS), "{metrics}");
    scene.is_named(&["not-implemented"]).await;
}

/// Positions that the server never gave out, some with the look of its own tokens.
pub(super) async fn forged_tokens(scene: &Scene) {
    let refused = scene.metric(REQUESTS, "status=\"422\"").await;
    let client = Client::new();
    let own =
        client.post(scene.server.url("/items")).json(&json!({"itemName": "Tent", "itemPrice": 1}));
    let own = own.send().await.expect("an answer");
    let own = own.headers()["gdmarket-at"].to_str().expect("text").to_owned();
    let (start, end) = own.split_at(own.len() / 2);
    let forged = ["1", "9223372036854775807", "zzzz", &format!("{end}{start}"), start, end];
    let began = Instant::now();
    for _ in 0..FORGERIES {
        for token in forged {
            for path in
                ["/items/1?at_least=", "/items?at_least=", "/items?after=", "/events?after="]
            {
                let answer = scene.market.get(&format!("{path}{token}")).await;
                assert_eq!(answer.status, 422, "{path}{token}: {answer:?}");
            }
        }
    }
    assert!(began.elapsed() < REFUSED_WITHIN, "somebody waited for a forged token");
    scene.market.get(&format!("/items?limit=1&at_least={own}")).await.expect(200);
    scene.is_counted(REQUESTS, "status=\"422\"", refused).await;
}

/// Neither those who say nothing nor those who say half hold anybody else up.
pub(super) async fn slow(scene: &Scene) {
    let host = format!("127.0.0.1:{}", scene.server.port());
    let body = format!(
        "POST /items HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{"
    );
    let cut = scene.metric("gdmarket_http_connections_cut_total", "").await;
    let mut held = Vec::new();
    for text in ["", "POST /items HTTP/1.1\r\nHo", &body] {
        for _ in 0..SLOW {
            held.push(connect(scene.server.port(), text).await);
        }
    }
    let healthy = timeout(HEALTHY_WITHIN, scene.market.get("/livez")).await;
    healthy.expect("health in time").expect(200);
    scene.works().await;
    scene.is_counted("gdmarket_http_connections_cut_total", "", cut).await;
    drop(held);
}

/// From another address than everybody else's.
async fn connect(port: u16, text: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let to = format!("127.0.0.1:{port}").parse().unwrap();
    let mut stream = socket.connect(to).await.expect("a connection");
    // Whoever is cut off has said enough.
    drop(stream.write_all(text.as_bytes()).await);
    stream
}
