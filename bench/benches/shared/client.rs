//! The load: registrations over open connections, each of which waits for an answer before the next
//! request. Every candidate gets the same requests.

use anyhow::Context as _;
use bytes::Bytes;
use gdmarket_bench::cell::{Cell, Meter, Pace, closed_loop_of};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

const BODY: &str = r#"{"itemName":"Camera with two lenses, a tripod and a bag; handed over at the door","itemPrice":10000,"ownerId":7}"#;

type Connection = Arc<Mutex<SendRequest<Full<Bytes>>>>;

/// Drives a server on this port.
pub(crate) async fn drive(candidate: &'static str, port: u16, pace: Pace) -> anyhow::Result<Cell> {
    let mut connections = Vec::with_capacity(pace.concurrency);
    for _ in 0..pace.concurrency {
        connections.push(connect(port).await?);
    }
    let registering = move |connection: Connection, meter: Arc<Meter>, n| async move {
        let mut connection = connection.lock().await;
        if let Err(error) = meter.command(register(&mut connection, port, n)).await {
            eprintln!("{candidate}: {error:#}");
        }
    };
    Ok(closed_loop_of(candidate, connections, tokio::time::sleep(pace.measured), registering).await)
}

async fn connect(port: u16) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection's task ends with its sender.
    drop(tokio::spawn(connection));
    Ok(Arc::new(Mutex::new(sender)))
}

async fn register(
    connection: &mut SendRequest<Full<Bytes>>,
    port: u16,
    n: u64,
) -> anyhow::Result<()> {
    connection.ready().await?;
    let request = Request::post("/items")
        .header("host", format!("127.0.0.1:{port}"))
        .header("content-type", "application/json")
        .header("prefer", "respond-async")
        .header("idempotency-key", format!("registration-{n}"))
        .body(Full::new(Bytes::from_static(BODY.as_bytes())))?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    Some(()).filter(|()| !body.is_empty()).context("an answer without a body")
}
