//! What rude clients do.

use super::scene::Scene;
use reqwest::{Client, Method};
use serde_json::{Map, Value};

/// Methods that nobody knows, and how many fields an object has.
const METHODS: usize = 100;
const FIELDS: usize = 2_000;

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
    assert!(metrics.contains("gdmarket_http_requests"), "{metrics}");
}
