//! A lease that this process has taken, and renews while it works.

use gdmarket_store::Leases;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A lease that this process has taken.
pub(crate) struct HeldLease<'a> {
    pub(crate) leases: &'a Leases,
    pub(crate) name: &'a str,
    pub(crate) holder: &'a str,
    pub(crate) ttl: Duration,
    pub(crate) epoch: i64,
}

impl HeldLease<'_> {
    /// Renews the lease until it is lost.
    pub(crate) async fn keep(&self) {
        let mut sure_until = Instant::now() + self.ttl;
        while Instant::now() < sure_until {
            sleep(self.ttl / 3).await;
            let requested_at = Instant::now();
            match self.leases.take(self.name, self.holder, self.ttl).await {
                Ok(Some(same)) if same == self.epoch => sure_until = requested_at + self.ttl,
                Ok(Some(_) | None) => return,
                Err(error) => {
                    tracing::debug!(subscription = self.name, %error, "the lease isn't renewed");
                }
            }
        }
    }

    /// Releases it at once, so that another runner needn't wait for its end.
    pub(crate) async fn release(&self) {
        if let Err(error) = self.leases.release(self.name, self.holder).await {
            tracing::debug!(subscription = self.name, %error, "the lease ends by itself");
        }
    }
}
