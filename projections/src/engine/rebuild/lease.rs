//! The right to build a view, held by one process at a time, and the check that it is still held.
//!
//! A process that was stopped for longer than its lease may continue a build that another process has taken
//! over. Each lease's build has a table of its own, so that the late build can't write into the other's
//! table; it ends as soon as it notices that the lease is lost.

use super::{ReplayError, name_of};
use crate::engine::view::View;
use gdmarket_store::{Leases, Store};
use std::future::Future;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// How long the lease of a build that died excludes others.
pub(super) const LEASE: Duration = Duration::from_secs(5);

/// The lease of a build; it is renewed until it is dropped.
pub(super) struct BuildLease {
    right: BuildRight,
    renewing: AbortOnDropHandle<()>,
}

/// The right to build a view.
#[derive(Clone)]
pub(crate) struct BuildRight {
    leases: Leases,
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) epoch: i64,
    /// The view's name as people type it.
    view: String,
    /// Cancelled when the lease is lost.
    lost: CancellationToken,
}

impl BuildLease {
    /// Takes the right to build this view; `None` while another process holds it.
    pub(super) async fn take<V: View>(store: &Store) -> Result<Option<Self>, ReplayError> {
        let leases = Leases::new(store.views().clone());
        let name = format!("build_{}", V::subscription());
        #[expect(clippy::disallowed_methods, reason = "it names this build only")]
        let holder = Uuid::new_v4().to_string();
        let Some(epoch) = leases.take(&name, &holder, LEASE).await? else { return Ok(None) };
        let lost = CancellationToken::new();
        let right = BuildRight { leases, name, holder, epoch, view: name_of::<V>(), lost };
        let renewing = AbortOnDropHandle::new(tokio::spawn(right.clone().renew()));
        Ok(Some(Self { right, renewing }))
    }

    pub(super) const fn right(&self) -> &BuildRight {
        &self.right
    }

    /// Releases the lease.
    pub(super) async fn end(self) {
        // This comes first: a renewal that finds the next holder would report this lease as lost.
        drop(self.renewing);
        let BuildRight { leases, name, holder, .. } = &self.right;
        if let Err(error) = leases.release(name, holder).await {
            tracing::debug!(name, %error, "the lease ends by itself");
        }
    }
}

impl BuildRight {
    async fn renew(self) {
        loop {
            sleep(LEASE / 4).await;
            if !self.is_held().await {
                return self.lost.cancel();
            }
        }
    }

    /// Renews the lease; `false` if it is lost. A database that doesn't answer hasn't given it to another
    /// process.
    async fn is_held(&self) -> bool {
        match self.leases.take(&self.name, &self.holder, LEASE).await {
            Ok(taken) => taken == Some(self.epoch),
            Err(error) => {
                tracing::debug!(self.name, %error, "the lease of a build isn't renewed");
                true
            }
        }
    }

    /// Runs the work of a build as long as the right is held.
    pub(super) async fn hold<T>(
        &self,
        work: impl Future<Output = Result<T, ReplayError>>,
    ) -> Result<T, ReplayError> {
        let done = tokio::select! {
            // Finished work is kept, even if another process holds the right by now.
            biased;
            done = work => done,
            () = self.lost.cancelled() => return Err(ReplayError::Busy(self.view.clone())),
        };
        match done {
            // The process that took over has removed the table.
            Err(_) if !self.is_held().await => Err(ReplayError::Busy(self.view.clone())),
            done => done,
        }
    }
}
