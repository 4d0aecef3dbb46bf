//! Waiting for a condition, bounded by a time-out. Tests use this instead of sleeping.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(10);

/// Calls `check` until it returns `Ok`, and returns its value.
///
/// # Panics
/// When the time is over, also during a check. The message contains the last `Err`.
pub async fn eventually<T, E, F, Fut>(within: Duration, mut check: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Debug,
{
    let deadline = Instant::now() + within;
    let mut last = None;
    loop {
        let Ok(checked) = timeout_at(deadline, check()).await else {
            panic!("the check before the end of {within:?} didn't return; last seen: {last:?}")
        };
        match checked {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= deadline => {
                panic!("the condition didn't hold within {within:?}; last seen: {seen:?}")
            }
            Err(seen) => last = Some(seen),
        }
        sleep(PAUSE).await;
    }
}
