//! Letting commands go first. While the log grows, a build works in short turns and rests between
//! them, one worker at a time, so that it is a small guest on the database; on a quiet market it takes
//! all there is.

use gdmarket_store::Store;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// How often to look whether the log grows.
const LOOK: Duration = Duration::from_millis(100);
/// How soon after the first look to look again: a build waits for what they say.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How many times as long as a turn the rest after it is.
const REST: u32 = 8;
/// No rest is longer: the market may be quiet again by then.
const LONGEST: Duration = Duration::from_millis(500);

/// Knows whether commands come in beside a build.
#[derive(Debug)]
pub(crate) struct Courtesy {
    /// `None` before two looks at the log.
    is_busy: watch::Receiver<Option<bool>>,
    is_hurried: AtomicBool,
    turn: Mutex<()>,
    _looking: AbortOnDropHandle<()>,
}

impl Courtesy {
    /// Looks at this store's log from now on.
    pub(crate) fn towards(store: &Store) -> Self {
        let (told, is_busy) = watch::channel(None);
        let looking = tokio::spawn(look(store.clone(), told));
        Self::new(is_busy, AbortOnDropHandle::new(looking))
    }

    /// Told by `looking` whether commands come in.
    pub(crate) fn new(
        is_busy: watch::Receiver<Option<bool>>,
        looking: AbortOnDropHandle<()>,
    ) -> Self {
        let is_hurried = AtomicBool::new(false);
        Self { is_busy, is_hurried, turn: Mutex::new(()), _looking: looking }
    }

    /// Waits until it is known whether commands come in.
    pub(crate) async fn knows(&self) {
        // Who looks lives as long as this does; if it broke down, nobody is known to come in.
        drop(self.is_busy.clone().wait_for(Option::is_some).await);
    }

    /// Whether commands come in, and there is time for them.
    pub(crate) fn is_due(&self) -> bool {
        *self.is_busy.borrow() == Some(true) && !self.is_hurried()
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

async fn look(store: Store, is_busy: watch::Sender<Option<bool>>) {
    let mut before = None;
    loop {
        match store.log().head().await {
            Ok(head) => {
                if let Some(last) = before.replace(head) {
                    is_busy.send_replace(Some(head != last));
                }
            }
            // A database that doesn't answer is told to the build by its own questions.
            Err(_) => is_busy.send_modify(|known| *known = known.or(Some(false))),
        }
        let pause = if is_busy.borrow().is_none() { LOOK_AGAIN } else { LOOK };
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn among_commands(is_busy: bool) -> Courtesy {
        let looking = AbortOnDropHandle::new(tokio::spawn(async {}));
        Courtesy::new(watch::channel(Some(is_busy)).1, looking)
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
