//! The logs that a process reads: its own, and those of other services.

use super::{Feed, LocalFeed};
use gdmarket_store::Store;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A log that subscriptions read.
#[derive(Clone)]
pub struct LogSource {
    /// The name of the service whose log it is; `None` for the log of this process.
    pub name: Option<&'static str>,
    /// Its events.
    pub feed: Arc<dyn Feed>,
    /// The aggregates whose streams are in it; `None` if any may be.
    pub aggregates: Option<BTreeSet<&'static str>>,
}

/// The logs that a process reads; cheap to clone.
#[derive(Clone)]
pub struct Feeds {
    own: Arc<dyn Feed>,
    /// The own log first.
    all: Arc<[LogSource]>,
}

impl LogSource {
    fn has_any(&self, aggregates: &[&str]) -> bool {
        let own = self.aggregates.as_ref();
        own.is_none_or(|own| aggregates.iter().any(|aggregate| own.contains(aggregate)))
    }
}

impl fmt::Debug for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut source = f.debug_struct("LogSource");
        source.field("name", &self.name).field("aggregates", &self.aggregates);
        source.finish_non_exhaustive()
    }
}

impl fmt::Debug for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter()).finish()
    }
}

impl Feeds {
    /// The log of this process alone, with all aggregates.
    pub fn of_own_log(store: &Store) -> Self {
        Self::new(store, None, [])
    }

    /// The log of this process with these aggregates, and the logs of others.
    pub fn new(
        store: &Store,
        aggregates: Option<BTreeSet<&'static str>>,
        others: impl IntoIterator<Item = LogSource>,
    ) -> Self {
        let feed: Arc<dyn Feed> = Arc::new(LocalFeed(store.clone()));
        let own = LogSource { name: None, feed: Arc::clone(&feed), aggregates };
        Self { own: feed, all: std::iter::once(own).chain(others).collect() }
    }

    /// The logs that have streams of any of these aggregates.
    pub(crate) fn with(&self, aggregates: &[&str]) -> Vec<LogSource> {
        self.all.iter().filter(|source| source.has_any(aggregates)).cloned().collect()
    }

    /// The log of this process, and the others that have streams of any of these aggregates.
    pub(crate) fn own_and_with(&self, aggregates: &[&str]) -> Vec<LogSource> {
        let is_read = |source: &&LogSource| source.name.is_none() || source.has_any(aggregates);
        self.all.iter().filter(is_read).cloned().collect()
    }

    /// The log of this process.
    pub(crate) fn own(&self) -> &Arc<dyn Feed> {
        &self.own
    }

    /// All of them, the own log first.
    pub(crate) fn all(&self) -> &[LogSource] {
        &self.all
    }
}
