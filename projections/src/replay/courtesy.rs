//! Letting commands go first. While the log grows, a build works in short turns and rests between
//! them, one worker at a time, so that it is a small guest on the database; on a quiet market it takes
//! all there is.

use gdmarket_store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// How often to look whether the log grows.
const LOOK: Duration = Duration::from_millis(100);
/// How many times as long as a turn the rest after it is.
const REST: u32 = 5;
/// No rest is longer: the market may be quiet again by then.
const LONGEST: Duration = Duration::from_millis(500);

/// Knows whether commands come in beside a build.
#[derive(Debug)]
pub(crate) struct Courtesy {
    is_busy: Arc<AtomicBool>,
    turn: Mutex<()>,
    _looking: AbortOnDropHandle<()>,
}

impl Courtesy {
    /// Looks at this store's log from now on.
    pub(crate) fn towards(store: &Store) -> Self {
        let is_busy = Arc::new(AtomicBool::new(false));
        let looking = tokio::spawn(look(store.clone(), Arc::clone(&is_busy)));
        Self { is_busy, turn: Mutex::new(()), _looking: AbortOnDropHandle::new(looking) }
    }

    /// Whether commands come in.
    pub(crate) fn is_due(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed)
    }

    /// Rests after a turn that began then, if commands come in. Workers rest one after another, so
    /// that their turns fall apart.
    pub(crate) async fn rest(&self, began: Instant) {
        if self.is_due() {
            let worked = began.elapsed();
            let _turn = self.turn.lock().await;
            sleep((worked * REST).min(LONGEST)).await;
        }
    }
}

async fn look(store: Store, is_busy: Arc<AtomicBool>) {
    let mut before = None;
    loop {
        // A database that doesn't answer is told to the build by its own questions.
        if let Ok(head) = store.log().head().await {
            is_busy.store(before.is_some_and(|before| before != head), Ordering::Relaxed);
            before = Some(head);
        }
        sleep(LOOK).await;
    }
}
