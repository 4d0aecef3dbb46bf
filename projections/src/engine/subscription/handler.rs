//! The handler of a loop's batches, and the ways in which handling can end.

use crate::engine::feed::{Delivery, FeedError};
use crate::engine::progress::LoopKey;
use async_trait::async_trait;
use gdmarket_store::{Advance, Checkpoints, Identity, StoreError, Tx};

/// Handles the batches of a loop.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Creates the tables that readers need; every replica runs it, and may repeat it.
    async fn prepare(&self) -> Result<(), Halt>;

    /// Drops the state of an earlier leadership term and reads the state that this one needs.
    async fn begin(&self, run: &Run) -> Result<(), Halt>;

    /// Whether it handles events of this aggregate.
    fn wants(&self, aggregate: &str) -> bool;

    /// Handles a batch, and moves the checkpoint from `stored` to the last event that could be handled;
    /// returns that position. With nothing to write, it leaves the checkpoint to the loop.
    async fn batch(&self, run: &Run, stored: i64, batch: &[Delivery]) -> Result<Reached, Halt>;

    /// Works in the background of the batches until it fails, on retries and deadlines.
    async fn background(&self, run: &Run) -> Halt;

    /// The blocked work that isn't a parked key, read from the database.
    async fn blocked(&self) -> Result<BlockedWork, StoreError> {
        Ok(BlockedWork::default())
    }
}

/// The position that a batch was handled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Handled up to here, and the checkpoint is stored.
    CommittedTo(i64),
    /// Handled up to here with nothing to write: the checkpoint may follow later.
    SkippedTo(i64),
}

/// The leadership term of one runner.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The loop.
    pub(crate) key: LoopKey,
    /// The log that it reads.
    pub(crate) source: Identity,
    /// The epoch of its lease.
    pub(crate) epoch: i64,
}

/// Why a runner stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The database doesn't answer: try again soon.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source of the events doesn't answer: try again soon.
    #[error("{0}")]
    Unreachable(String),
    /// Another runner has taken over.
    #[error("another runner has taken over")]
    Fenced,
    /// Only a newer program can read the log.
    #[error("the log has events that only a newer program can read: {0}")]
    Newer(String),
    /// The stored state doesn't fit the log.
    #[error("{0}")]
    Refused(String),
}

impl From<FeedError> for Halt {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Store(error) => Self::Store(error),
            FeedError::Unreachable(why) => Self::Unreachable(why),
            FeedError::Refused(why) => Self::Refused(why),
        }
    }
}

/// The number of blocked deadlines, and the lowest position of an event that set one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BlockedWork {
    pub(crate) count: usize,
    pub(crate) first: Option<i64>,
}

impl Run {
    /// The name of the subscription.
    pub(crate) fn name(&self) -> &str {
        &self.key.name
    }

    /// Reports the number of parked keys, and the lowest position at which one of them stopped.
    pub(crate) fn report_parked(&self, count: usize, first: Option<i64>) {
        report_parked(&self.key, i64::try_from(count).unwrap_or(i64::MAX), first.unwrap_or(0));
    }

    /// Locks the checkpoint until `tx` ends, and returns it.
    pub(crate) async fn hold(&self, tx: &mut Tx) -> Result<i64, Halt> {
        let subscriber = &self.key.subscriber;
        let held = Checkpoints::hold(tx, subscriber, &self.source, self.epoch).await?;
        held.ok_or(Halt::Fenced)
    }

    /// Moves the checkpoint inside `tx`.
    pub(crate) async fn advance(&self, tx: &mut Tx, from: i64, to: i64) -> Result<(), Halt> {
        let (subscriber, source) = (&self.key.subscriber, &self.source);
        let step = Advance { lease_epoch: self.epoch, from, to };
        let advanced = Checkpoints::advance(tx, subscriber, source, step).await?;
        if advanced { Ok(()) } else { Err(Halt::Fenced) }
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float")]
pub(super) fn report_parked(key: &LoopKey, count: i64, first: i64) {
    metrics::gauge!("gdmarket_projection_parked", key.labels()).set(count as f64);
    metrics::gauge!("gdmarket_projection_parked_position", key.labels()).set(first as f64);
}
