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
const REST: u32 = 8;
/// No rest is longer: the market may be quiet again by then.
const LONGEST: Duration = Duration::from_millis(500);

/// Knows whether commands come in beside a build.
#[derive(Debug)]
pub(crate) struct Courtesy {
    is_busy: Arc<AtomicBool>,
    is_hurried: AtomicBool,
    turn: Mutex<()>,
    _looking: AbortOnDropHandle<()>,
}

impl Courtesy {
    /// Looks at this store's log from now on.
    pub(crate) fn towards(store: &Store) -> Self {
        let is_busy = Arc::new(AtomicBool::new(false));
        let looking = tokio::spawn(look(store.clone(), Arc::clone(&is_busy)));
        Self::new(is_busy, AbortOnDropHandle::new(looking))
    }

    fn new(is_busy: Arc<AtomicBool>, looking: AbortOnDropHandle<()>) -> Self {
        let is_hurried = AtomicBool::new(false);
        Self { is_busy, is_hurried, turn: Mutex::new(()), _looking: looking }
    }

    /// Whether commands come in, and there is time for them.
    pub(crate) fn is_due(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed) && !self.is_hurried()
    }

    /// Whether commands have to wait for the build.
    pub(crate) fn is_hurried(&self) -> bool {
        self.is_hurried.load(Ordering::Relaxed)
    }

    /// No rest any more: the log grows faster than a build that rests.
    pub(crate) fn hurry(&self) {
        self.is_hurried.store(true, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn among_commands(is_busy: bool) -> Courtesy {
        let looking = AbortOnDropHandle::new(tokio::spawn(async {}));
        Courtesy::new(Arc::new(AtomicBool::new(is_busy)), looking)
    }

    /// How long it rests after a turn of so many milliseconds.
    async fn rest_after(courtesy: &Courtesy, millis: u64) -> Duration {
        let began = Instant::now();
        advance(Duration::from_millis(millis)).await;
        let worked = Instant::now();
        courtesy.rest(began).await;
        worked.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn among_commands_it_rests_longer_than_it_works_but_never_long() {
        let courtesy = among_commands(true);
        assert_eq!(rest_after(&courtesy, 10).await, REST * Duration::from_millis(10));
        assert_eq!(rest_after(&courtesy, 1_000).await, LONGEST);
        let began = Instant::now();
        advance(Duration::from_millis(10)).await;
        let worked = Instant::now();
        tokio::join!(courtesy.rest(began), courtesy.rest(began));
        assert_eq!(worked.elapsed(), 2 * REST * Duration::from_millis(10), "one after the other");
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_rests_alone_or_in_a_hurry() {
        assert_eq!(rest_after(&among_commands(false), 10).await, Duration::ZERO);
        let hurried = among_commands(true);
        hurried.hurry();
        assert_eq!(rest_after(&hurried, 10).await, Duration::ZERO);
    }
}
