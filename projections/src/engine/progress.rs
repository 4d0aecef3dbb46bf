//! The progress of every loop, for writes that wait for their views, reads with a token, and alerts.
//!
//! Each loop of this process publishes its position. Where another replica runs a loop, its checkpoint is
//! read from the database, and only while a caller waits.

mod loop_key;

pub(crate) use loop_key::LoopKey;
pub use loop_key::LoopKind;

use crate::engine::feed::{Feeds, LogSource};
use gdmarket_store::{Checkpoints, Identity};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// How often the checkpoints of other replicas are read while a caller waits.
const POLL: Duration = Duration::from_millis(20);

/// How often to check whether polling is needed.
const RECHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The progress of one loop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every event up to this position is applied.
    pub position: i64,
    /// No event that was written in reaction to them has a higher position.
    pub reactions_up_to: i64,
    /// Whether this process runs the loop.
    pub is_leader: bool,
    /// Why the loop is blocked, if it is.
    pub problem: Option<String>,
}

/// The progress of all loops; cheap to clone.
#[derive(Clone)]
pub struct Applied(Arc<Inner>);

struct Inner {
    loops: BTreeMap<LoopKey, watch::Sender<Progress>>,
    feeds: Feeds,
    waiting: AtomicUsize,
    woken: Notify,
}

impl std::fmt::Debug for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.0.loops.iter().map(|(k, v)| (&k.name, v.borrow().clone())))
            .finish()
    }
}

impl Applied {
    pub(crate) fn new(loops: impl IntoIterator<Item = LoopKey>, feeds: Feeds) -> Self {
        let loops = loops.into_iter().map(|key| (key, watch::Sender::default())).collect();
        Self(Arc::new(Inner { loops, feeds, waiting: AtomicUsize::new(0), woken: Notify::new() }))
    }

    /// The logs that the loops read.
    pub(crate) fn feeds(&self) -> &Feeds {
        &self.0.feeds
    }

    /// Waits until every process manager has reacted to all events up to `position` of the own log; `false` at
    /// `until`. A reaction that waits for a later try counts as done.
    pub async fn wait_managers(&self, position: i64, until: Instant) -> bool {
        self.wait(LoopKind::Manager, None, position, until).await
    }

    /// Whether every view is known to have applied all events up to these positions, each in a log of its own. The
    /// progress of a view that another replica maintains is known as of the last wait. Logs that no view of this
    /// process reads are left out.
    pub fn views_have(&self, positions: &BTreeMap<Identity, i64>) -> bool {
        self.followed(positions).into_iter().all(|(source, position)| {
            self.loops_of(LoopKind::View, source).all(|sender| sender.borrow().position >= position)
        })
    }

    /// Waits until every view has applied all events up to `position` of the own log; `false` at `until`.
    pub async fn wait_views(&self, position: i64, until: Instant) -> bool {
        self.wait(LoopKind::View, None, position, until).await
    }

    /// As [`Applied::wait_views`], for positions of several logs; see [`Applied::views_have`].
    pub async fn wait_views_at(&self, positions: &BTreeMap<Identity, i64>, until: Instant) -> bool {
        for (source, position) in self.followed(positions) {
            if !self.wait(LoopKind::View, source, position, until).await {
                return false;
            }
        }
        true
    }

    /// The positions of the logs that this process reads, by the names of the logs.
    fn followed(&self, positions: &BTreeMap<Identity, i64>) -> Vec<(Option<&'static str>, i64)> {
        let position = |source: &LogSource| {
            let position = positions.get(&source.feed.source())?;
            Some((source.name, *position))
        };
        self.0.feeds.all().iter().filter_map(position).collect()
    }

    fn loops_of(
        &self,
        kind: LoopKind,
        source: Option<&'static str>,
    ) -> impl Iterator<Item = &watch::Sender<Progress>> {
        let is_of = move |key: &LoopKey| key.kind == kind && key.source == source;
        self.0.loops.iter().filter(move |(key, _)| is_of(key)).map(|(_, sender)| sender)
    }

    /// Waits until the reactions to `position` are in the log, `depth` reactions deep, and returns the
    /// position that views have to reach then; `None` at `until`.
    pub async fn wait_reactions(&self, position: i64, depth: u32, until: Instant) -> Option<i64> {
        let mut reached = position;
        for _ in 0..depth {
            if !self.wait_managers(reached, until).await {
                return None;
            }
            reached = reached.max(self.reactions_up_to(until).await?);
        }
        Some(reached)
    }

    /// The highest position that the reactions so far can have. The loops of this process publish it once
    /// per batch; where another process runs a loop, it is read from the log, once per waiter.
    async fn reactions_up_to(&self, until: Instant) -> Option<i64> {
        let managers = self.loops_of(LoopKind::Manager, None);
        let all: Vec<Progress> = managers.map(|sender| sender.borrow().clone()).collect();
        if all.iter().all(|progress| progress.is_leader) {
            return all.iter().map(|progress| progress.reactions_up_to).max();
        }
        timeout_at(until, self.0.feeds.own().head()).await.ok().and_then(Result::ok)
    }

    /// The progress of each loop, by the name of its subscription.
    pub fn progress(&self) -> BTreeMap<String, Progress> {
        let loops = self.0.loops.iter();
        loops.map(|(key, sender)| (key.name.clone(), sender.borrow().clone())).collect()
    }

    async fn wait(
        &self,
        kind: LoopKind,
        source: Option<&'static str>,
        position: i64,
        until: Instant,
    ) -> bool {
        let _waiting = self.waiting();
        let reached = async {
            for sender in self.loops_of(kind, source) {
                let there = |progress: &Progress| progress.position >= position;
                if sender.subscribe().wait_for(there).await.is_err() {
                    return false;
                }
            }
            true
        };
        timeout_at(until, reached).await.unwrap_or(false)
    }

    fn waiting(&self) -> WaiterGuard<'_> {
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        self.0.woken.notify_one();
        WaiterGuard(&self.0.waiting)
    }

    pub(crate) fn update(&self, key: &LoopKey, change: impl FnOnce(&mut Progress)) {
        if let Some(sender) = self.0.loops.get(key) {
            sender.send_modify(change);
        }
    }

    /// Reads the checkpoints of other replicas while a caller waits, until `stop`.
    pub(crate) async fn poll(self, checkpoints: Checkpoints, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if self.0.waiting.load(Ordering::SeqCst) == 0 || self.leads_all() {
                tokio::select! {
                    () = self.0.woken.notified() => {}
                    // Another replica may take over a loop while a caller waits.
                    () = sleep(RECHECK_INTERVAL) => continue,
                    () = stop.cancelled() => return,
                }
            }
            if !self.leads_all() {
                for source in self.0.feeds.all() {
                    if let Ok(all) = checkpoints.all(&source.feed.source()).await {
                        self.learn(source.name, &all);
                    }
                }
            }
            sleep(POLL).await;
        }
    }

    fn leads_all(&self) -> bool {
        self.0.loops.values().all(|sender| sender.borrow().is_leader)
    }

    fn learn(&self, source: Option<&'static str>, checkpoints: &[(String, i64)]) {
        for (key, sender) in self.0.loops.iter().filter(|(key, _)| key.source == source) {
            let of_loop = checkpoints.iter().find(|(known, _)| *known == key.subscriber);
            if let Some((_, position)) = of_loop {
                sender.send_if_modified(|progress| {
                    let moved = !progress.is_leader && progress.position < *position;
                    if moved {
                        progress.position = *position;
                    }
                    moved
                });
            }
        }
    }
}

/// Counts a caller that waits, until it is dropped.
struct WaiterGuard<'a>(&'a AtomicUsize);

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
