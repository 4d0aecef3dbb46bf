//! What the gateway sends a second time: reads, writes with an `Idempotency-Key`, and what never left the gateway.

use super::raw::send;
use super::stub::{Behaviour, FourStubs, Stub};
use gdmarket_testkit::{Gateway, ServiceAddresses, free_port};

const KEY: &str = "Idempotency-Key: 7d0b\r\n";

/// Sends a request to a reservation service of two replicas that take it and break off; how often it arrives.
async fn deliveries(request: &str, headers: &str) -> usize {
    let stubs = FourStubs::start().await;
    let (first, second) = (
        Stub::start("reservation", Behaviour::BreaksOff).await,
        Stub::start("reservation", Behaviour::BreaksOff).await,
    );
    let reservation = format!("{},{}", first.address(), second.address());
    let services = ServiceAddresses { reservation, ..stubs.addresses() };
    let gateway = Gateway::before(&services, &[]).await;
    let is_write = request.starts_with("POST") || request.starts_with("PATCH");
    let body = if is_write { r#"{"itemNo":1}"# } else { "" };
    let answer = send(&gateway, request, headers, body).await;
    answer.problem(504, "no-answer");
    assert_eq!(answer.header("retry-after"), "1");
    let seen = [first.seen(), second.seen()].concat();
    assert!(seen.iter().all(|seen| seen.body == body.as_bytes()), "{seen:?}");
    seen.len()
}

#[tokio::test]
async fn write_without_a_key_is_delivered_once() {
    for request in ["POST /reservations", "PATCH /reservations/1", "DELETE /reservations/1"] {
        assert_eq!(deliveries(request, "").await, 1, "{request}");
        assert_eq!(deliveries(request, "Idempotency-Key:\r\n").await, 1, "{request}");
    }
}

#[tokio::test]
async fn write_with_a_key_and_read_are_repeated_at_another_replica() {
    for request in ["POST /reservations", "PATCH /reservations/1", "DELETE /reservations/1"] {
        assert_eq!(deliveries(request, KEY).await, 2, "{request}");
    }
    assert_eq!(deliveries("GET /reservations", "").await, 2);
}

#[tokio::test]
async fn write_without_a_key_finds_the_replica_that_runs() {
    let stubs = FourStubs::start().await;
    let reservation = format!("127.0.0.1:{},{}", free_port(), stubs.reservation.address());
    let services = ServiceAddresses { reservation, ..stubs.addresses() };
    let gateway = Gateway::before(&services, &[]).await;
    for _ in 0..6 {
        let answer = send(&gateway, "POST /reservations", "", "{}").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(stubs.reservation.seen().len(), 6);
}
