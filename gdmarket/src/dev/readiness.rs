//! When a part is ready: it answers over HTTP, or takes connections.

use reqwest::Client;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How often a part that starts is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// What shows that a part is ready.
#[derive(Debug, Clone)]
pub(super) enum Readiness {
    /// The URL answers 200.
    Http(String),
    /// A port of the loopback takes connections.
    Port(u16),
}

impl Readiness {
    /// Waits until the part is ready, for ever.
    pub(super) async fn reached(&self) {
        let client = Client::builder().no_proxy().timeout(LOOK_TIMEOUT).build().unwrap_or_default();
        while !self.is_reached(&client).await {
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn is_reached(&self, client: &Client) -> bool {
        match self {
            Self::Http(url) => {
                client.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
            }
            Self::Port(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await.is_ok(),
        }
    }
}
