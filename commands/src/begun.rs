//! Work that runs to its end once it has begun, whether or not anybody waits for it.
//!
//! It runs in the task of whoever waits: a task of its own would cost each command two more turns of the
//! scheduler. Only what nobody waits for any more gets one.

use futures::FutureExt as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// A future that, dropped before its end, goes on in a task of its own.
pub(crate) struct Begun<T: Send + 'static> {
    /// None while it runs, and at its end.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    runtime: Handle,
}

impl<T: Send + 'static> Begun<T> {
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), runtime: Handle::current() }
    }
}

impl<T: Send + 'static> Future for Begun<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Nothing stands in its place while it runs: what panics is never run again.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Begun<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            drop(self.runtime.spawn(work.map(drop)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::oneshot;
    use tokio_util::task::TaskTracker;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_goes_on_to_its_end() {
        let (go, gone) = oneshot::channel::<()>();
        let (told, tell) = oneshot::channel();
        let tracker = TaskTracker::new();
        let mut work = Begun::new(tracker.track_future(async move {
            drop(gone.await);
            told.send(7).unwrap();
        }));
        assert_eq!(futures::poll!(&mut work), Poll::Pending);
        drop(work);
        assert_eq!(tracker.len(), 1, "the tracker knows of it still");
        go.send(()).unwrap();
        assert_eq!(tell.await, Ok(7));
        tracker.close();
        tracker.wait().await;
    }

    #[test]
    fn what_is_dropped_outside_of_its_runtime_goes_on_too() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (told, tell) = oneshot::channel();
        let mut work = None;
        runtime.block_on(async {
            let begun = work.insert(Begun::new(async move {
                tokio::task::yield_now().await;
                told.send(7).unwrap();
            }));
            assert_eq!(futures::poll!(begun), Poll::Pending);
        });
        drop(work);
        assert_eq!(runtime.block_on(tell), Ok(7));
    }

    #[tokio::test]
    async fn what_panicked_is_not_run_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let mut work = Box::pin(Begun::new(async move {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            assert!(counted.fetch_add(1, Ordering::Relaxed) > 1, "on purpose");
        }));
        let caught = std::panic::AssertUnwindSafe(&mut work).catch_unwind().await;
        assert!(caught.is_err());
        assert_eq!(futures::poll!(&mut work), Poll::Pending);
        drop(work);
        tokio::task::yield_now().await;
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }
}
