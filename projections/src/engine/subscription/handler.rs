//! What a loop has its batches handled by, and the ways in which that can end.

use crate::engine::feed::Delivery;
use async_trait::async_trait;
use gdmarket_store::{Advance, Checkpoints, Identity, StoreError, Tx};

/// What a loop does with its batches.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Makes what must be there before anyone asks; safe to repeat, run by every replica.
    async fn prepare(&self) -> Result<(), Halt>;

    /// Forgets the state of an earlier term and reads what a runner of this epoch needs.
    async fn begin(&self, run: &Run) -> Result<(), Halt>;

    /// Whether an event of this aggregate concerns it.
    fn wants(&self, aggregate: &str) -> bool;

    /// Handles a batch and moves the checkpoint from its place in the database to the last event that
    /// could be handled; returns that position. Without anything to write it leaves moving the checkpoint
    /// to the loop.
    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt>;

    /// Works in the background of the batches until it fails: retries, deadlines.
    async fn background(&self, run: &Run) -> Halt;

    /// What is blocked of it without being a parked key, as the database has it.
    async fn blocked(&self) -> Result<BlockedWork, StoreError> {
        Ok(BlockedWork::default())
    }
}

/// How far a batch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Up to here, and the checkpoint is stored.
    CommittedTo(i64),
    /// Up to here, without anything to write: the checkpoint may follow later.
    SkippedTo(i64),
}

/// The leadership term of one runner.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The subscription.
    pub(crate) name: String,
    /// The log it reads.
    pub(crate) source: Identity,
    /// The epoch of its lease.
    pub(crate) epoch: i64,
}

/// Why a runner stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The database doesn't answer: the same again soon.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another runner has taken over.
    #[error("another runner has taken over")]
    Fenced,
    /// A newer program must run this.
    #[error("the log holds what only a newer program reads: {0}")]
    Newer(String),
    /// What was written doesn't fit the log.
    #[error("{0}")]
    Refused(String),
}

/// How much is blocked, and the lowest position of an event that led to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BlockedWork {
    pub(crate) count: usize,
    pub(crate) first: Option<i64>,
}

impl Run {
    /// Reports how many keys are parked, and the position of the first event that one of them stopped at.
    pub(crate) fn report_parked(&self, count: usize, first: Option<i64>) {
        report_parked(&self.name, i64::try_from(count).unwrap_or(i64::MAX), first.unwrap_or(0));
    }

    /// Keeps other runners out until `tx` ends; returns the checkpoint.
    pub(crate) async fn hold(&self, tx: &mut Tx) -> Result<i64, Halt> {
        let held = Checkpoints::hold(tx, &self.name, &self.source, self.epoch).await?;
        held.ok_or(Halt::Fenced)
    }

    /// Moves the checkpoint inside `tx`.
    pub(crate) async fn advance(&self, tx: &mut Tx, from: i64, to: i64) -> Result<(), Halt> {
        let (name, source) = (&self.name, &self.source);
        let step = Advance { lease_epoch: self.epoch, from, to };
        let advanced = Checkpoints::advance(tx, name, source, step).await?;
        if advanced { Ok(()) } else { Err(Halt::Fenced) }
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
pub(super) fn report_parked(name: &str, count: i64, first: i64) {
    metrics::gauge!("gdmarket_projection_parked", "subscription" => name.to_owned())
        .set(count as f64);
    metrics::gauge!("gdmarket_projection_parked_position", "subscription" => name.to_owned())
        .set(first as f64);
}
