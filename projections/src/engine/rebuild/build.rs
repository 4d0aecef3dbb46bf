//! A generation of a view that is built while another one is served. A lease allows one build per view at a
//! time; a build removes the table of an interrupted one.

use super::fold::{LogRange, Poisoned, fold_all};
use super::lease::BuildLease;
use super::{RebuildProgress, ReplayError, name_of};
use crate::engine::feed::LocalFeed;
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
    /// Every event up to here is in the table.
    pub(super) reached: i64,
    /// The number of folded events.
    pub(super) events: u64,
    /// The log's own count of them.
    pub(super) counted: u64,
    pub(super) poisoned: Poisoned,
    pub(super) lease: BuildLease,
    pub(super) throttle: Arc<Throttle>,
    pub(super) is_indexed: bool,
}

impl<V: View> Build<V> {
    /// Begins with an empty table; waits for the lease of a build that died.
    pub(super) async fn begin(store: &Store) -> Result<Self, ReplayError> {
        let until = Instant::now() + WAIT;
        loop {
            if let Some(build) = Self::try_begin(store).await? {
                return Ok(build);
            }
            if Instant::now() >= until {
                return Err(ReplayError::Busy(name_of::<V>()));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// As [`Build::begin`], but `None` while another process builds.
    pub(super) async fn try_begin(store: &Store) -> Result<Option<Self>, ReplayError> {
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
            reached: 0,
            events: 0,
            counted: 0,
            poisoned: Poisoned::new(),
            lease,
            throttle: Arc::new(Throttle::for_store(store)),
            is_indexed: false,
        }))
    }

    /// Folds the events up to `until`, and compares their number with the log's own count.
    pub(super) async fn fold_to(
        &mut self,
        until: i64,
        progress: RebuildProgress<'_>,
    ) -> Result<(), ReplayError> {
        if until <= self.reached {
            return Ok(());
        }
        if until - self.reached > LAST_STEP {
            self.throttle.wait_until_known().await;
        }
        // While commands come in, rows are indexed as they are written: indexing all at once takes long.
        if self.throttle.is_active() {
            self.index().await?;
        }
        let (read, expected) = self.fold_and_count(until, progress).await?;
        if read != expected {
            return Err(ReplayError::Short { read, expected });
        }
        self.events += read;
        self.counted += expected;
        self.reached = until;
        progress(self.events, self.counted);
        Ok(())
    }

    /// Folds the events up to `until` while the log counts them; returns the number read and the number
    /// counted. Progress is reported once the count is known.
    async fn fold_and_count(
        &mut self,
        until: i64,
        progress: RebuildProgress<'_>,
    ) -> Result<(u64, u64), ReplayError> {
        let counted = OnceLock::new();
        let so_far = |read| {
            if let Some(expected) = counted.get().filter(|expected| read <= **expected) {
                progress(self.events + read, self.counted + expected);
            }
        };
        let mut poisoned = take(&mut self.poisoned);
        let (feed, after) = (&LocalFeed(self.store.clone()), self.reached);
        let (table, throttle) = (&self.table, &self.throttle);
        let range = LogRange { feed, table, throttle, after, until, so_far: &so_far };
        let folding = fold_all(&self.store, range, &mut poisoned);
        let counting = async {
            let expected = self.count(until).await?;
            Ok(*counted.get_or_init(|| expected))
        };
        let both = tokio::try_join!(folding, counting)?;
        self.poisoned = poisoned;
        Ok(both)
    }

    /// Whether the events missing up to `target` are left to the last transaction. If their number doesn't
    /// shrink from one call to the next, commands wait for the build.
    pub(super) fn is_close_to(&self, target: i64, before: &mut i64) -> bool {
        let missing = target - self.reached;
        if missing >= *before {
            self.throttle.disable();
        }
        *before = missing;
        missing <= LAST_STEP
    }

    /// The log's own count of the events up to `until` that are yet to be folded.
    async fn count(&self, until: i64) -> Result<u64, ReplayError> {
        let pause = |began| self.throttle.pause_after(began);
        let log = self.store.log();
        Ok(log.count_of(V::AGGREGATE, self.reached, until, pause).await?)
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
