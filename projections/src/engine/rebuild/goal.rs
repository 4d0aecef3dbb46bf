//! The logs that a rebuild needs, and the positions in them that it catches up with.

use super::build_source::served_now;
use super::{ReplayError, name_of};
use crate::engine::feed::{FeedError, Feeds, LogSource};
use crate::engine::view::View;
use gdmarket_store::{Checkpoints, Store};

/// The positions that a build catches up with, one in each log.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// The checkpoints of the served view.
    Served,
    /// The head of the own log, without a served view to compare with. The logs of other services are left to the loops:
    /// no service waits at its start until another one answers.
    Head,
}

impl Goal {
    pub(super) async fn positions<V: View>(
        self,
        store: &Store,
        feeds: &Feeds,
    ) -> Result<Vec<i64>, ReplayError> {
        let head = store.log().head().await?;
        let heads = || {
            let sources = feeds.with(&[V::AGGREGATE]);
            sources.iter().map(|source| if source.name.is_none() { head } else { 0 }).collect()
        };
        Ok(match self {
            Self::Served => served_now::<V>(store, feeds).await?.unwrap_or_else(heads),
            Self::Head => heads(),
        })
    }
}

/// Asks the service for the head of its log: a rebuild that can't end shouldn't begin.
async fn reach(source: &LogSource) -> Result<(), ReplayError> {
    let Some(service) = source.name else { return Ok(()) };
    match source.feed.head().await {
        Ok(_) => Ok(()),
        Err(FeedError::Unreachable(why)) => Err(ReplayError::Unreachable(format!(
            "the log of the service {service} can't be read: {why}"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a rebuild from fewer logs than the served view has read: it would lack the rows of the others.
pub(super) async fn require_sources<V: View>(
    store: &Store,
    feeds: &Feeds,
) -> Result<(), ReplayError> {
    let sources = feeds.with(&[V::AGGREGATE]);
    for source in &sources {
        reach(source).await?;
    }
    let mut tx = store.views().snapshot().await?;
    let read = Checkpoints::at(&mut tx, &V::subscription()).await?;
    tx.rollback().await?;
    for service in read.into_iter().filter_map(|read| read.name) {
        if sources.iter().all(|source| source.name != Some(service.as_str())) {
            return Err(ReplayError::MissingSource(name_of::<V>(), service));
        }
    }
    Ok(())
}
