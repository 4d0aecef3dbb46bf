//! Slow and greedy clients are cut off by the gateway, and reach no service.

use super::raw::{SOON, connect, exchange, get, read_until_closed, send};
use super::stub::{Behaviour, FourStubs};
use gdmarket_testkit::{Gateway, eventually};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

/// Sends a byte every tenth of a second until the other side refuses it.
async fn trickle(stream: &mut TcpStream, byte: u8) {
    let mut every = interval(Duration::from_millis(100));
    let sending = async {
        loop {
            every.tick().await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    timeout(SOON, sending).await.expect("the gateway closes the connection");
}

#[tokio::test]
async fn slow_heads_are_cut_and_keep_no_other_client_out() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &["--head-seconds", "1"]).await;
    let mut slow = vec![];
    for _ in 0..200 {
        slow.push(connect(&gateway, "GET /items HTTP/1.1\r\nHost: localhost\r\nX: ").await);
    }
    assert_eq!(get(&gateway, "/items").await.status, 200);
    // The limit is for the whole head: a client that always sends a little more is cut, too.
    trickle(&mut slow.pop().unwrap(), b'x').await;
    for stream in &mut slow {
        assert_eq!(read_until_closed(stream).await, "");
    }
    assert_eq!(stubs.count(), 1, "the slow ones reach no service");
}

#[tokio::test]
async fn slow_bodies_are_cut_and_reach_no_service() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &["--body-seconds", "1"]).await;
    let head = "POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{";
    let mut slow = vec![];
    for _ in 0..50 {
        slow.push(connect(&gateway, head).await);
    }
    assert_eq!(send(&gateway, "POST /items", "", "{}").await.status, 200);
    for stream in &mut slow {
        read_until_closed(stream).await;
    }
    assert_eq!(stubs.item.only().body, b"{}", "the slow ones reach no service");
}

#[tokio::test]
async fn bodies_have_the_limit_of_the_services() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let largest = "x".repeat(64 * 1024);
    assert_eq!(send(&gateway, "POST /items", "", &largest).await.status, 200);
    assert_eq!(stubs.item.only().body.len(), largest.len());
    let head = "POST /items HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let declared = format!("{head}Content-Length: 65537\r\n\r\n");
    exchange(&gateway, &declared).await.problem(413, "body-too-large");
    let chunk = "x".repeat(65_537);
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n10001\r\n{chunk}\r\n0\r\n\r\n");
    exchange(&gateway, &chunked).await.problem(413, "body-too-large");
    assert_eq!(stubs.count(), 1);
}

#[tokio::test]
async fn heads_have_a_limit() {
    let stubs = FourStubs::start().await;
    let gateway = Gateway::before(&stubs.addresses(), &[]).await;
    let one_long = format!("Accept: {}\r\n", "x".repeat(9_000));
    send(&gateway, "GET /items", &one_long, "").await.problem(400, "bad-header");
    let many = format!("Accept: {}\r\n", "x".repeat(4_000)).repeat(12);
    send(&gateway, "GET /items", &many, "").await.problem(400, "bad-header");
    let long_path = format!("/items?x={}", "x".repeat(9_000));
    assert_eq!(get(&gateway, &long_path).await.status, 414);
    assert_eq!(stubs.count(), 0);
}

#[tokio::test]
async fn one_address_has_a_share_of_the_gateway() {
    let stubs = FourStubs::with_item(Behaviour::Hangs).await;
    let gateway = Gateway::before(&stubs.addresses(), &["--address-connections", "2"]).await;
    let request = "GET /items HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let first = connect(&gateway, request).await;
    let second = connect(&gateway, request).await;
    eventually(SOON, || async {
        match stubs.item.seen().len() {
            2 => Ok(()),
            seen => Err(seen),
        }
    })
    .await;
    let answer = get(&gateway, "/alarms").await;
    answer.problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    drop((first, second));
    eventually(SOON, || async {
        match get(&gateway, "/alarms").await.status {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}
