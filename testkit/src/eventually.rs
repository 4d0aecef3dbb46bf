//! Waiting for a condition, bounded by a time-out: what tests use in place of sleeping.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// How long to leave the machine to others between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until `look` answers `Ok`, and returns what it found.
///
/// # Panics
/// When the time is over, also in the middle of a look: with the last `Err`, so that the failed test
/// says what it saw.
pub async fn eventually<T, E, F, Fut>(within: Duration, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Debug,
{
    let deadline = Instant::now() + within;
    let mut last = None;
    loop {
        let Ok(looked) = timeout_at(deadline, look()).await else {
            panic!("not so within {within:?}, and still looking; seen before: {last:?}")
        };
        match looked {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= deadline => {
                panic!("not so within {within:?}; last seen: {seen:?}")
            }
            Err(seen) => last = Some(seen),
        }
        sleep(PAUSE).await;
    }
}
