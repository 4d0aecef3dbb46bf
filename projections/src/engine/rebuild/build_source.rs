//! A log that a build is folded from, and how far it is folded.

use super::ReplayError;
use super::fold::Poisoned;
use crate::engine::feed::{Feeds, LogSource};
use crate::engine::view::View;
use crate::engine::view_table::ViewTable;
use gdmarket_store::{
    Checkpoints, Generations, Identity, SourceCheckpoint, Store, SubscriptionId, Tx,
};

/// A log that a build is folded from. No two of them have events of the same stream.
pub(super) struct BuildSource {
    pub(super) of: LogSource,
    pub(super) log: Identity,
    /// Every event up to here is in the table.
    pub(super) reached: i64,
    pub(super) poisoned: Poisoned,
}

impl BuildSource {
    /// Nothing of a log.
    pub(super) fn new(of: LogSource) -> Self {
        let log = of.feed.source();
        Self { of, log, reached: 0, poisoned: Poisoned::new() }
    }

    pub(super) const fn is_own(&self) -> bool {
        self.of.name.is_none()
    }

    /// The name of the subscription of a view at this log.
    pub(super) fn subscription(&self, view: &str) -> String {
        SubscriptionId::new(view, self.of.name).to_string()
    }
}

/// The position of a subscriber in a log.
pub(super) fn position_in(read: &[SourceCheckpoint], log: &Identity) -> Option<i64> {
    read.iter().find(|read| read.source == *log).map(|read| read.position)
}

/// The positions of a view in its logs, unless it has read another log than its own. A log of another service that it has
/// not read yet is at the beginning.
fn positions_in(read: &[SourceCheckpoint], sources: &[LogSource]) -> Option<Vec<i64>> {
    let position = |source: &LogSource| match position_in(read, &source.feed.source()) {
        None if source.name.is_none() => None,
        found => Some(found.unwrap_or(0)),
    };
    sources.iter().map(position).collect()
}

/// The checkpoints of the served view in its logs, if it was built from them.
pub(super) async fn served_positions<V: View>(
    sources: &[LogSource],
    tx: &mut Tx,
) -> Result<Option<Vec<i64>>, ReplayError> {
    let read = Checkpoints::at(tx, &V::subscription()).await?;
    Ok(positions_in(&read, sources))
}

/// As [`served_positions`], outside of a transaction. It is also `None` for a view that was never built, one
/// without a table, and one past the head of the own log.
pub(super) async fn served_now<V: View>(
    store: &Store,
    feeds: &Feeds,
) -> Result<Option<Vec<i64>>, ReplayError> {
    let db = store.views();
    if Generations::new(db.clone()).served(&V::subscription()).await?.is_none()
        || !ViewTable::<V>::served().rows().exists(db).await?
    {
        return Ok(None);
    }
    let sources = feeds.with(&[V::AGGREGATE]);
    let mut tx = db.snapshot().await?;
    let positions = served_positions::<V>(&sources, &mut tx).await?;
    tx.rollback().await?;
    let head = store.log().head().await?;
    let is_whole = |positions: &Vec<i64>| {
        let own = sources.iter().zip(positions).filter(|(source, _)| source.name.is_none());
        own.into_iter().all(|(_, position)| *position <= head)
    };
    Ok(positions.filter(is_whole))
}
