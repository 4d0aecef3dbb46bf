//! Who has applied what: for writes that wait for their views, reads that ask for a token, and alerts.
//!
//! Each loop of this process says how far it is as it goes. Where another replica runs a loop, the
//! checkpoints table is read while, and only while, a caller waits.

use crate::engine::feed::Feed;
use gdmarket_store::Checkpoints;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// How often the checkpoints of other replicas are read while a caller waits.
const POLL: Duration = Duration::from_millis(20);

/// How often it is asked again whether that is needed.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What a loop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoopKind {
    /// It keeps a view.
    View,
    /// It reacts.
    Manager,
}

/// Where one loop stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here is applied.
    pub position: i64,
    /// Whatever was written in reaction to that stands no further in the log.
    pub led_to: i64,
    /// Whether this process runs it.
    pub led: bool,
    /// Why it is blocked, if it is.
    pub problem: Option<String>,
}

/// Where all loops stand; cheap to clone.
#[derive(Clone)]
pub struct Applied(Arc<Inner>);

struct Inner {
    loops: BTreeMap<(LoopKind, String), watch::Sender<Progress>>,
    feed: Arc<dyn Feed>,
    waiting: AtomicUsize,
    woken: Notify,
}

impl std::fmt::Debug for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.loops.iter().map(|(k, v)| (&k.1, v.borrow().clone()))).finish()
    }
}

impl Applied {
    pub(crate) fn new(
        loops: impl IntoIterator<Item = (LoopKind, String)>,
        feed: Arc<dyn Feed>,
    ) -> Self {
        let loops = loops.into_iter().map(|key| (key, watch::Sender::default())).collect();
        Self(Arc::new(Inner { loops, feed, waiting: AtomicUsize::new(0), woken: Notify::new() }))
    }

    /// Waits until every process manager has reacted to everything up to `position`; `false` if that
    /// isn't so at `until`. A reaction that waits for a later try counts as done.
    pub async fn wait_managers(&self, position: i64, until: Instant) -> bool {
        self.wait(LoopKind::Manager, position, until).await
    }

    /// Whether every view is known to have taken in everything up to `position`. Of a view that another
    /// replica keeps it is known only as of the last wait.
    pub fn views_have(&self, position: i64) -> bool {
        let mut views = self.0.loops.iter().filter(|((kind, _), _)| *kind == LoopKind::View);
        views.all(|(_, sender)| sender.borrow().position >= position)
    }

    /// Waits until every view has taken in everything up to `position`; `false` if not at `until`.
    pub async fn wait_views(&self, position: i64, until: Instant) -> bool {
        self.wait(LoopKind::View, position, until).await
    }

    /// Waits until what `position` leads to is in the log, `depth` reactions deep, and answers the
    /// position that views are then to be waited for; `None` if not at `until`.
    pub async fn wait_reactions(&self, position: i64, depth: u32, until: Instant) -> Option<i64> {
        let mut reached = position;
        for _ in 0..depth {
            if !self.wait_managers(reached, until).await {
                return None;
            }
            reached = reached.max(self.led_to(until).await?);
        }
        Some(reached)
    }

    /// How far in the log the reactions so far can be. The loops of this process say so, once per
    /// batch instead of once per waiter; for others' the log is asked.
    async fn led_to(&self, until: Instant) -> Option<i64> {
        let managers = self.0.loops.iter().filter(|((kind, _), _)| *kind == LoopKind::Manager);
        let all: Vec<Progress> = managers.map(|(_, sender)| sender.borrow().clone()).collect();
        if all.iter().all(|progress| progress.led) {
            return all.iter().map(|progress| progress.led_to).max();
        }
        timeout_at(until, self.0.feed.head()).await.ok().and_then(Result::ok)
    }

    /// Where each loop stands, by name.
    pub fn progress(&self) -> BTreeMap<String, Progress> {
        let now = |(key, sender): (&(LoopKind, String), &watch::Sender<Progress>)| {
            (key.1.clone(), sender.borrow().clone())
        };
        self.0.loops.iter().map(now).collect()
    }

    async fn wait(&self, kind: LoopKind, position: i64, until: Instant) -> bool {
        let _waiting = self.waiting();
        let reached = async {
            for ((_, _), sender) in self.0.loops.iter().filter(|((is, _), _)| *is == kind) {
                let there = |progress: &Progress| progress.position >= position;
                if sender.subscribe().wait_for(there).await.is_err() {
                    return false;
                }
            }
            true
        };
        timeout_at(until, reached).await.unwrap_or(false)
    }

    fn waiting(&self) -> Waiting<'_> {
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        self.0.woken.notify_one();
        Waiting(&self.0.waiting)
    }

    pub(crate) fn update(&self, key: &(LoopKind, String), change: impl FnOnce(&mut Progress)) {
        if let Some(sender) = self.0.loops.get(key) {
            sender.send_modify(change);
        }
    }

    /// Reads the checkpoints of other replicas while a caller waits, until `stop`.
    pub(crate) async fn poll(self, checkpoints: Checkpoints, stop: CancellationToken) {
        let source = self.0.feed.source();
        while !stop.is_cancelled() {
            if self.0.waiting.load(Ordering::SeqCst) == 0 || self.all_led() {
                tokio::select! {
                    () = self.0.woken.notified() => {}
                    // A loop may be lost to another replica while a caller waits.
                    () = sleep(LOOK_AGAIN) => continue,
                    () = stop.cancelled() => return,
                }
            }
            if !self.all_led()
                && let Ok(all) = checkpoints.all(&source).await
            {
                self.learn(&all);
            }
            sleep(POLL).await;
        }
    }

    fn all_led(&self) -> bool {
        self.0.loops.values().all(|sender| sender.borrow().led)
    }

    fn learn(&self, checkpoints: &[(String, i64)]) {
        for ((_, name), sender) in &self.0.loops {
            if let Some((_, position)) = checkpoints.iter().find(|(known, _)| known == name) {
                sender.send_if_modified(|progress| {
                    let moved = !progress.led && progress.position < *position;
                    if moved {
                        progress.position = *position;
                    }
                    moved
                });
            }
        }
    }
}

/// Somebody waits as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
