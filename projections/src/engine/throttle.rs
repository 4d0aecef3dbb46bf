//! The throttle of a build, which lets commands go first. While the log grows, a build works in short
//! time slices and pauses between them, one worker at a time; without commands it uses the whole
//! database.

use gdmarket_store::Store;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// How often to check whether the log grows.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The pause after the first check: a build waits for the result of two.
const FIRST_INTERVAL: Duration = Duration::from_millis(20);
/// The length of a pause, as a multiple of the time slice before it.
const PAUSE_FACTOR: u32 = 8;
/// The longest pause: the commands may be over by then.
const LONGEST: Duration = Duration::from_millis(500);

/// Knows whether commands come in while a build runs.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// `None` before the second check of the log.
    is_busy: watch::Receiver<Option<bool>>,
    is_disabled: AtomicBool,
    pausing: Mutex<()>,
    _checking: AbortOnDropHandle<()>,
}

impl Throttle {
    /// A throttle that checks this store's log from now on.
    pub(crate) fn for_store(store: &Store) -> Self {
        let (sender, is_busy) = watch::channel(None);
        let checking = tokio::spawn(check_growth(store.clone(), sender));
        Self::new(is_busy, AbortOnDropHandle::new(checking))
    }

    /// A throttle to which the task `checking` reports whether commands come in.
    pub(crate) fn new(
        is_busy: watch::Receiver<Option<bool>>,
        checking: AbortOnDropHandle<()>,
    ) -> Self {
        let is_disabled = AtomicBool::new(false);
        Self { is_busy, is_disabled, pausing: Mutex::new(()), _checking: checking }
    }

    /// Waits until it is known whether commands come in.
    pub(crate) async fn wait_until_known(&self) {
        // The task lives as long as the throttle; if it panicked, no commands are assumed.
        drop(self.is_busy.clone().wait_for(Option::is_some).await);
    }

    /// Whether commands come in, and therefore go first.
    pub(crate) fn is_active(&self) -> bool {
        *self.is_busy.borrow() == Some(true) && !self.is_disabled()
    }

    /// Whether commands wait for the build.
    pub(crate) fn is_disabled(&self) -> bool {
        self.is_disabled.load(Ordering::Relaxed)
    }

    /// Ends all pauses, for a log that grows faster than a build that pauses.
    pub(crate) fn disable(&self) {
        self.is_disabled.store(true, Ordering::Relaxed);
    }

    /// Pauses after a time slice that began at `began`, if commands come in. Workers pause one after
    /// another, so that their time slices don't coincide.
    pub(crate) async fn pause_after(&self, began: Instant) {
        if self.is_active() {
            let worked = began.elapsed();
            let _pausing = self.pausing.lock().await;
            sleep((worked * PAUSE_FACTOR).min(LONGEST)).await;
        }
    }
}

async fn check_growth(store: Store, is_busy: watch::Sender<Option<bool>>) {
    let mut before = None;
    loop {
        match store.log().head().await {
            Ok(head) => {
                if let Some(last) = before.replace(head) {
                    is_busy.send_replace(Some(head != last));
                }
            }
            // The build notices by its own queries that the database doesn't answer.
            Err(_) => is_busy.send_modify(|known| *known = known.or(Some(false))),
        }
        let pause = if is_busy.borrow().is_none() { FIRST_INTERVAL } else { CHECK_INTERVAL };
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn among_commands(is_busy: bool) -> Throttle {
        let checking = AbortOnDropHandle::new(tokio::spawn(async {}));
        Throttle::new(watch::channel(Some(is_busy)).1, checking)
    }

    /// The pause after a time slice of this length.
    async fn pause_after(throttle: &Throttle, millis: u64) -> Duration {
        let began = Instant::now();
        advance(Duration::from_millis(millis)).await;
        let worked = Instant::now();
        throttle.pause_after(began).await;
        worked.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn throttle_pauses_longer_than_the_build_works_but_never_long() {
        let throttle = among_commands(true);
        assert_eq!(pause_after(&throttle, 10).await, PAUSE_FACTOR * Duration::from_millis(10));
        assert_eq!(pause_after(&throttle, 1_000).await, LONGEST);
        let began = Instant::now();
        advance(Duration::from_millis(10)).await;
        let worked = Instant::now();
        tokio::join!(throttle.pause_after(began), throttle.pause_after(began));
        assert_eq!(
            worked.elapsed(),
            2 * PAUSE_FACTOR * Duration::from_millis(10),
            "one after the other"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn throttle_never_pauses_without_commands_or_once_disabled() {
        assert_eq!(pause_after(&among_commands(false), 10).await, Duration::ZERO);
        let disabled = among_commands(true);
        disabled.disable();
        assert_eq!(pause_after(&disabled, 10).await, Duration::ZERO);
    }
}
