//! Steps of hostile clients.

use super::scenario::Scenario;
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

/// The metric that counts requests by status.
const REQUESTS: &str = "gdmarket_http_requests_total";
/// Rounds of forged tokens, and the longest for all of them: waiting for a single one would take 2 s.
const ROUNDS: usize = 5;
const REFUSED_WITHIN: Duration = Duration::from_secs(20);
/// The number of unknown methods, and of the fields of an object.
const METHODS: usize = 100;
const FIELDS: usize = 2_000;
/// Connections from one address, of each kind.
const CONNECTIONS: usize = 100;
/// The longest until `/livez` is answered, despite slow clients.
const HEALTHY_WITHIN: Duration = Duration::from_secs(1);

/// All are refused, and none becomes a label of a metric.
pub(super) async fn name_flood(scenario: &Scenario) {
    let client = Client::new();
    for number in 0..METHODS {
        let method = Method::from_bytes(format!("INVENTED{number}").as_bytes()).unwrap();
        let answer = client.request(method, scenario.server.url("/items")).send().await;
        let status = answer.expect("an answer").status().as_u16();
        assert!(matches!(status, 405 | 501), "{status}");
    }
    let fields = |number| (format!("field{number}"), Value::from(number));
    let body: Map<String, Value> = (0..FIELDS).map(fields).collect();
    let answer = scenario.market.send(Method::POST, "/items", Some(Value::from(body)), None).await;
    let answer = answer.expect("an answer");
    assert!(matches!(answer.status, 400 | 422), "{answer:?}");
    let metrics = client.get(scenario.server.url("/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(!metrics.contains("INVENTED"), "{metrics}");
    assert!(metrics.contains(REQUESTS), "{metrics}");
    scenario.wait_for_log_line(&["not-implemented"]).await;
}

/// Positions that the server never issued, some in the format of its tokens.
pub(super) async fn forged_tokens(scenario: &Scenario) {
    let refused = scenario.metric(REQUESTS, "status=\"422\"").await;
    let client = Client::new();
    let registration = client
        .post(scenario.server.url("/items"))
        .json(&json!({"itemName": "Tent", "itemPrice": 1}));
    let answer = registration.send().await.expect("an answer");
    let token = answer.headers()["gdmarket-at"].to_str().expect("text").to_owned();
    let (start, end) = token.split_at(token.len() / 2);
    let forged = ["1", "9223372036854775807", "zzzz", &format!("{end}{start}"), start, end];
    let began = Instant::now();
    for _ in 0..ROUNDS {
        for token in forged {
            for path in
                ["/items/1?at_least=", "/items?at_least=", "/items?after=", "/events?after="]
            {
                let answer = scenario.market.get(&format!("{path}{token}")).await;
                assert_eq!(answer.status, 422, "{path}{token}: {answer:?}");
            }
        }
    }
    assert!(began.elapsed() < REFUSED_WITHIN, "a request waited for a forged token");
    scenario.market.get(&format!("/items?limit=1&at_least={token}")).await.expect(200);
    scenario.wait_for_count(REQUESTS, "status=\"422\"", refused).await;
}

/// Clients that send nothing or an incomplete request don't delay others.
pub(super) async fn slow(scenario: &Scenario) {
    let host = format!("127.0.0.1:{}", scenario.server.port());
    let body = format!(
        "POST /items HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{"
    );
    let cut = scenario.metric("gdmarket_http_connections_cut_total", "").await;
    let mut held = Vec::new();
    for text in ["", "POST /items HTTP/1.1\r\nHo", &body] {
        for _ in 0..CONNECTIONS {
            held.push(connect(scenario.server.port(), text).await);
        }
    }
    let healthy = timeout(HEALTHY_WITHIN, scenario.market.get("/livez")).await;
    healthy.expect("health in time").expect(200);
    scenario.wait_until_it_works().await;
    scenario.wait_for_count("gdmarket_http_connections_cut_total", "", cut).await;
    drop(held);
}

/// Connects from another address than the other clients.
async fn connect(port: u16, text: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let to = format!("127.0.0.1:{port}").parse().unwrap();
    let mut stream = socket.connect(to).await.expect("a connection");
    // The server may close the connection before all is sent.
    drop(stream.write_all(text.as_bytes()).await);
    stream
}
