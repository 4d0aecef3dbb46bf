//! A generation of a view that is built while another one is served. A lease allows one build per view at a
//! time; a build removes the table of an interrupted one.

use super::build_source::BuildSource;
use super::fold::{LogRange, Poisoned, fold_all};
use super::lease::BuildLease;
use super::{RebuildProgress, ReplayError, name_of};
use crate::engine::feed::Feeds;
use crate::engine::throttle::Throttle;
use crate::engine::view::View;
use crate::engine::view_table::ViewTable;
use futures::{TryStreamExt, stream};
use gdmarket_store::{Generations, Store};
use std::mem::take;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait for a build whose process died a moment ago: longer than its lease.
const WAIT: Duration = Duration::from_secs(8);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Events between the build and the served view that are left to the last transaction.
pub(super) const LAST_STEP: i64 = if cfg!(test) { 10 } else { 2_000 };
/// Indexes created concurrently.
const INDEXES: usize = 3;

/// A build in progress. A dropped build leaves its table to the next one.
pub(super) struct Build<V: View> {
    pub(super) store: Store,
    pub(super) table: Arc<ViewTable<V>>,
    pub(super) generation: i64,
    /// The logs that it is folded from, the own one first.
    pub(super) sources: Vec<BuildSource>,
    /// The number of folded events.
    pub(super) events: u64,
    /// The log's own count of them.
    pub(super) counted: u64,
    pub(super) lease: BuildLease,
    pub(super) throttle: Arc<Throttle>,
    pub(super) is_indexed: bool,
}

impl<V: View> Build<V> {
    /// Begins with an empty table; waits for the lease of a build that died.
    pub(super) async fn begin(store: &Store, feeds: &Feeds) -> Result<Self, ReplayError> {
        let until = Instant::now() + WAIT;
        loop {
            if let Some(build) = Self::try_begin(store, feeds).await? {
                return Ok(build);
            }
            if Instant::now() >= until {
                return Err(ReplayError::Busy(name_of::<V>()));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// As [`Build::begin`], but `None` while another process builds.
    pub(super) async fn try_begin(
        store: &Store,
        feeds: &Feeds,
    ) -> Result<Option<Self>, ReplayError> {
        let Some(lease) = BuildLease::take::<V>(store).await? else { return Ok(None) };
        let db = store.views();
        let leftovers = ViewTable::<V>::remove_leftovers(db, lease.right().epoch).await?;
        if leftovers > 0 {
            tracing::info!(view = V::NAME, "the table of an interrupted build is removed");
        }
        let served = Generations::new(db.clone()).served(&V::subscription()).await?;
        let generation = served.map_or(0, |served| served.number) + 1;
        let table = Arc::new(ViewTable::build(generation, lease.right().epoch));
        let mut tx = db.begin().await?;
        table.rows().create_bare(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(Self {
            store: store.clone(),
            table,
            generation,
            sources: feeds.with(&[V::AGGREGATE]).into_iter().map(BuildSource::new).collect(),
            events: 0,
            counted: 0,
            lease,
            throttle: Arc::new(Throttle::for_store(store)),
            is_indexed: false,
        }))
    }

    /// Folds the events of each log up to its position in `until`, and compares their number with the log's own count.
    pub(super) async fn fold_to(
        &mut self,
        until: &[i64],
        progress: RebuildProgress<'_>,
    ) -> Result<(), ReplayError> {
        let missing = self.missing(until);
        if missing == 0 {
            return Ok(());
        }
        if missing > LAST_STEP {
            self.throttle.wait_until_known().await;
        }
        // While commands come in, rows are indexed as they are written: indexing all at once takes long.
        if self.throttle.is_active() {
            self.index().await?;
        }
        for (at, until) in until.iter().enumerate() {
            self.fold_source(at, *until, progress).await?;
        }
        progress(self.events, self.counted);
        Ok(())
    }

    /// How many positions are missing up to these.
    fn missing(&self, until: &[i64]) -> i64 {
        let missing = |(source, until): (&BuildSource, &i64)| (until - source.reached).max(0);
        self.sources.iter().zip(until).map(missing).sum()
    }

    async fn fold_source(
        &mut self,
        at: usize,
        until: i64,
        progress: RebuildProgress<'_>,
    ) -> Result<(), ReplayError> {
        let Some(source) = self.sources.get_mut(at).filter(|source| source.reached < until) else {
            return Ok(());
        };
        let mut poisoned = take(&mut source.poisoned);
        let Some(source) = self.sources.get(at) else { return Ok(()) };
        let (read, expected) = self.fold_and_count(source, &mut poisoned, until, progress).await?;
        if read != expected {
            return Err(ReplayError::Short { read, expected });
        }
        if let Some(source) = self.sources.get_mut(at) {
            (source.poisoned, source.reached) = (poisoned, until);
        }
        self.events += read;
        self.counted += expected;
        Ok(())
    }

    /// Folds the events of a log up to `until` while it counts them; returns the number read and the number
    /// counted. Progress is reported once the count is known.
    async fn fold_and_count(
        &self,
        source: &BuildSource,
        poisoned: &mut Poisoned,
        until: i64,
        progress: RebuildProgress<'_>,
    ) -> Result<(u64, u64), ReplayError> {
        let counted = OnceLock::new();
        let so_far = |read| {
            if let Some(expected) = counted.get().filter(|expected| read <= **expected) {
                progress(self.events + read, self.counted + expected);
            }
        };
        let (feed, after) = (source.of.feed.as_ref(), source.reached);
        let (table, throttle) = (&self.table, &self.throttle);
        let range = LogRange { feed, table, throttle, after, until, so_far: &so_far };
        let folding = fold_all(&self.store, range, poisoned);
        if !source.is_own() {
            // Only the own log can count; a feed of another refuses a gap.
            let read = folding.await?;
            return Ok((read, read));
        }
        let counting = async {
            let expected = self.count(after, until).await?;
            Ok(*counted.get_or_init(|| expected))
        };
        tokio::try_join!(folding, counting)
    }

    /// Whether the events missing up to `target` are left to the last transaction. If their number doesn't
    /// shrink from one call to the next, commands wait for the build.
    pub(super) fn is_close_to(&self, target: &[i64], before: &mut i64) -> bool {
        let missing = self.missing(target);
        if missing >= *before {
            self.throttle.disable();
        }
        *before = missing;
        missing <= LAST_STEP
    }

    /// The own log's count of the events up to `until` that are yet to be folded.
    async fn count(&self, after: i64, until: i64) -> Result<u64, ReplayError> {
        let pause = |began| self.throttle.pause_after(began);
        Ok(self.store.log().count_of(V::AGGREGATE, after, until, pause).await?)
    }

    /// Creates the indexes; this is cheapest once the bulk of the rows is written.
    pub(super) async fn index(&mut self) -> Result<(), ReplayError> {
        if self.is_indexed {
            return Ok(());
        }
        self.is_indexed = true;
        // While commands come in, they run between two indexes.
        let is_alone = !self.throttle.is_active();
        let at_once = if is_alone { self.store.views().spare().clamp(1, INDEXES) } else { 1 };
        let columns = V::COLUMNS.iter().filter(|column| column.is_indexed()).map(Ok);
        let columns = stream::iter(columns);
        columns.try_for_each_concurrent(at_once, |column| self.index_by(column.name())).await
    }

    async fn index_by(&self, column: &str) -> Result<(), ReplayError> {
        let began = Instant::now();
        self.table.rows().index(self.store.views(), column).await?;
        self.throttle.pause_after(began).await;
        Ok(())
    }

    /// Removes the build.
    pub(super) async fn discard(self) -> Result<(), ReplayError> {
        self.table.rows().remove(self.store.views()).await?;
        self.lease.end().await;
        Ok(())
    }
}
