//! A generation of a view that is being built while another one is served. There is one build at a time
//! per view, by a lease; the next build removes the table of one that was cut short.

use super::fold::{LogRange, Poisoned, fold_all};
use super::lease::BuildLease;
use super::{RebuildProgress, ReplayError, name_of};
use crate::engine::throttle::Throttle;
use crate::engine::view::View;
use crate::engine::view_table::ViewTable;
use futures::{TryStreamExt, stream};
use gdmarket_store::{Generations, Store};
use std::mem::take;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait for a build that died a moment ago: longer than its lease.
const WAIT: Duration = Duration::from_secs(8);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Events between the build and what is served that are left to the last transaction.
pub(super) const LAST_STEP: i64 = if cfg!(test) { 10 } else { 2_000 };
/// Indexes made at the same time.
const INDEXES: usize = 3;

/// A build in progress. Dropped, it leaves its table to the next one.
pub(super) struct Build<V: View> {
    pub(super) store: Store,
    pub(super) table: Arc<ViewTable<V>>,
    pub(super) generation: i64,
    /// Everything up to here is in the table.
    pub(super) reached: i64,
    /// How many events that were.
    pub(super) events: u64,
    /// How many they are by the log's own count.
    pub(super) counted: u64,
    pub(super) poisoned: Poisoned,
    pub(super) lease: BuildLease,
    pub(super) throttle: Arc<Throttle>,
    pub(super) is_indexed: bool,
}

impl<V: View> Build<V> {
    /// Begins with an empty table; waits a moment for a build that died.
    pub(super) async fn begin(store: &Store) -> Result<Self, ReplayError> {
        let until = Instant::now() + WAIT;
        loop {
            if let Some(build) = Self::try_begin(store).await? {
                return Ok(build);
            }
            if Instant::now() >= until {
                return Err(ReplayError::Busy(name_of::<V>()));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// As [`Build::begin`], but `None` while another process builds.
    pub(super) async fn try_begin(store: &Store) -> Result<Option<Self>, ReplayError> {
        let Some(lease) = BuildLease::take::<V>(store).await? else { return Ok(None) };
        let db = store.views();
        let leftovers = ViewTable::<V>::remove_leftovers(db, lease.right().epoch).await?;
        if leftovers > 0 {
            tracing::info!(view = V::NAME, "a build that was cut short is cleared away");
        }
        let served = Generations::new(db.clone()).served(&V::subscription()).await?;
        let generation = served.map_or(0, |served| served.number) + 1;
        let table = Arc::new(ViewTable::build(generation, lease.right().epoch));
        let mut tx = db.begin().await?;
        table.create_bare(&mut tx).await?;
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

    /// Folds everything up to `until`, and holds what was read against the log's own count.
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
        // While commands come in, rows are indexed as they are written: all at once takes the database long.
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

    /// Folds everything up to `until` while the log counts what that is: how many events were read, and
    /// counted. Progress is reported as soon as they are counted.
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
        let (table, throttle) = (&self.table, &self.throttle);
        let range = LogRange { table, throttle, after: self.reached, until, so_far: &so_far };
        let folding = fold_all(&self.store, range, &mut poisoned);
        let counting = async {
            let expected = self.count(until).await?;
            Ok(*counted.get_or_init(|| expected))
        };
        let both = tokio::try_join!(folding, counting)?;
        self.poisoned = poisoned;
        Ok(both)
    }

    /// Whether what is missing up to `target` is left to the last transaction. Where it doesn't become
    /// less from one time to the next, commands have to wait for the build.
    pub(super) fn is_close_to(&self, target: i64, before: &mut i64) -> bool {
        let missing = target - self.reached;
        if missing >= *before {
            self.throttle.disable();
        }
        *before = missing;
        missing <= LAST_STEP
    }

    /// The log's own count of what is yet to be folded.
    async fn count(&self, until: i64) -> Result<u64, ReplayError> {
        let pause = |began| self.throttle.pause_after(began);
        let log = self.store.log();
        Ok(log.count_of(V::AGGREGATE, self.reached, until, pause).await?)
    }

    /// Lets rows be found; cheapest once the bulk of them is there.
    pub(super) async fn index(&mut self) -> Result<(), ReplayError> {
        if self.is_indexed {
            return Ok(());
        }
        self.is_indexed = true;
        // Commands run in between, where any come in.
        let is_alone = !self.throttle.is_active();
        let at_once = if is_alone { self.store.views().spare().clamp(1, INDEXES) } else { 1 };
        let columns = V::COLUMNS.iter().filter(|column| column.is_indexed()).map(Ok);
        let columns = stream::iter(columns);
        columns.try_for_each_concurrent(at_once, |column| self.index_by(column.name())).await
    }

    async fn index_by(&self, column: &str) -> Result<(), ReplayError> {
        let began = Instant::now();
        self.table.index(self.store.views(), column).await?;
        self.throttle.pause_after(began).await;
        Ok(())
    }

    /// Throws the build away.
    pub(super) async fn discard(self) -> Result<(), ReplayError> {
        self.table.remove(self.store.views()).await?;
        self.lease.end().await;
        Ok(())
    }
}
