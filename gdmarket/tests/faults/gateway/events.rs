//! Server-sent events through the gateway: each is passed on at once, and a quiet stream outlives the limit of answers.

use super::raw::{connect, get, send};
use super::stub::{Behaviour, FourStubs};
use gdmarket_testkit::Gateway;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Reads until this text has come.
async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut received = vec![];
    let reading = async {
        while !String::from_utf8_lossy(&received).contains(text) {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the stream ends");
        }
    };
    let within = timeout(Duration::from_secs(10), reading).await;
    assert!(within.is_ok(), "no {text:?} in {:?}", String::from_utf8_lossy(&received));
}

#[tokio::test]
async fn events_arrive_at_once_and_a_quiet_stream_stays_open() {
    for target in ["/events?itemNo=1", "/services/item/events"] {
        let mut stubs = FourStubs::with_item(Behaviour::Streams).await;
        stubs.alarm = super::stub::Stub::start("alarm", Behaviour::Hangs).await;
        let gateway = Gateway::before(&stubs.addresses(), &["--answer-seconds", "2"]).await;
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 7\r\n\r\n");
        let mut stream = connect(&gateway, &request).await;
        read_until(&mut stream, "data: 0\n\n").await;
        stubs.item.send_event();
        read_until(&mut stream, "data: 1\n\n").await;
        // The stream is silent for as long as an ordinary answer may take.
        get(&gateway, "/alarms").await.problem(504, "no-answer");
        stubs.item.send_event();
        read_until(&mut stream, "data: 2\n\n").await;
        let seen = stubs.item.only();
        assert!(seen.line().starts_with("GET /events"), "{}", seen.head);
        assert_eq!(seen.header("last-event-id"), ["7"]);
    }
}

#[tokio::test]
async fn followers_reach_the_service_that_they_name() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    for (target, service) in [
        ("/events?itemNo=1", "item"),
        ("/events?after=x&itemNo=1", "item"),
        ("/events/?reservationNo=1", "reservation"),
        ("/events?paymentNo=1&type=PaymentApproved", "payment"),
        ("/services/alarm/events?type=AlarmRaised", "alarm"),
    ] {
        assert_eq!(get(&gateway, target).await.header("x-stub"), service, "{target}");
    }
    let line = stubs.alarm.only().line().to_owned();
    assert_eq!(line, "GET /events?type=AlarmRaised HTTP/1.1");
    for target in ["/events", "/events?type=ItemRegistered", "/events?notItemNo=1"] {
        let problem =
            send(&gateway, &format!("GET {target}"), "", "").await.problem(404, "not-found");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("/services/item/events"), "{detail}");
    }
}
