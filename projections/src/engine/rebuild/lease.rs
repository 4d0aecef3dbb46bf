//! The right to build a view, one at a time across processes, and noticing that it is gone.
//!
//! A process that was stopped for longer than its lease may continue in the middle of a build that another
//! process has taken over. Each lease's build has a table of its own, so that the late one can't write
//! where the other does; and it ends as soon as it notices that the lease is lost.

use super::{ReplayError, name_of};
use crate::engine::view::View;
use gdmarket_store::{Leases, Store};
use std::future::Future;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// How long a build that died keeps others away.
pub(super) const LEASE: Duration = Duration::from_secs(5);

/// The right to build a view.
pub(super) struct BuildLease {
    right: Right,
    renewing: AbortOnDropHandle<()>,
}

/// What the right consists of; whether it is still held can be asked of it.
#[derive(Clone)]
pub(crate) struct Right {
    leases: Leases,
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) epoch: i64,
    /// What is built, as people call it.
    view: String,
    /// Somebody else has it.
    lost: CancellationToken,
}

impl BuildLease {
    /// Takes the right to build this view; `None` while another process has it.
    pub(super) async fn take<V: View>(store: &Store) -> Result<Option<Self>, ReplayError> {
        let leases = Leases::new(store.views().clone());
        let name = format!("build_{}", V::subscription());
        #[expect(clippy::disallowed_methods, reason = "it names this build only")]
        let holder = Uuid::new_v4().to_string();
        let Some(epoch) = leases.take(&name, &holder, LEASE).await? else { return Ok(None) };
        let lost = CancellationToken::new();
        let right = Right { leases, name, holder, epoch, view: name_of::<V>(), lost };
        let renewing = AbortOnDropHandle::new(tokio::spawn(right.clone().renew()));
        Ok(Some(Self { right, renewing }))
    }

    pub(super) const fn right(&self) -> &Right {
        &self.right
    }

    /// Lets others build.
    pub(super) async fn end(self) {
        // First: a renewal that finds the next one at work would take this one for overtaken.
        drop(self.renewing);
        let Right { leases, name, holder, .. } = &self.right;
        if let Err(error) = leases.release(name, holder).await {
            tracing::debug!(name, %error, "the lease ends by itself");
        }
    }
}

impl Right {
    async fn renew(self) {
        loop {
            sleep(LEASE / 4).await;
            if !self.is_held().await {
                return self.lost.cancel();
            }
        }
    }

    /// Renews it. A database that doesn't answer hasn't given it to another process.
    async fn is_held(&self) -> bool {
        match self.leases.take(&self.name, &self.holder, LEASE).await {
            Ok(taken) => taken == Some(self.epoch),
            Err(error) => {
                tracing::debug!(self.name, %error, "the lease of a build isn't renewed");
                true
            }
        }
    }

    /// Does the work of a build as long as the right to it is held.
    pub(super) async fn hold<T>(
        &self,
        work: impl Future<Output = Result<T, ReplayError>>,
    ) -> Result<T, ReplayError> {
        let done = tokio::select! {
            // What is done is kept, even if another process has the right by now.
            biased;
            done = work => done,
            () = self.lost.cancelled() => return Err(ReplayError::Busy(self.view.clone())),
        };
        match done {
            // The one that took over has cleared the table away.
            Err(_) if !self.is_held().await => Err(ReplayError::Busy(self.view.clone())),
            done => done,
        }
    }
}
