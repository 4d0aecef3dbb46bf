//! Work that runs to completion once it has started, whether or not its caller still waits.
//!
//! It runs in its caller's task, since a task of its own would cost each command two more wake-ups. Only work that its caller dropped gets one.

use futures::FutureExt as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// A future that, dropped before its completion, continues in a task of its own.
pub(crate) struct DetachOnDrop<T: Send + 'static> {
    /// `None` while it is polled, and once it is complete.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    runtime: Handle,
}

impl<T: Send + 'static> DetachOnDrop<T> {
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), runtime: Handle::current() }
    }
}

impl<T: Send + 'static> Future for DetachOnDrop<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // The work is out of its place while it is polled: after a panic it is never polled again.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for DetachOnDrop<T> {
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
    async fn dropped_work_runs_to_completion() {
        let (go, gone) = oneshot::channel::<()>();
        let (sender, receiver) = oneshot::channel();
        let tracker = TaskTracker::new();
        let mut work = DetachOnDrop::new(tracker.track_future(async move {
            drop(gone.await);
            sender.send(7).unwrap();
        }));
        assert_eq!(futures::poll!(&mut work), Poll::Pending);
        drop(work);
        assert_eq!(tracker.len(), 1, "the tracker still counts the work");
        go.send(()).unwrap();
        assert_eq!(receiver.await, Ok(7));
        tracker.close();
        tracker.wait().await;
    }

    #[test]
    fn dropped_work_runs_to_completion_outside_of_its_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (sender, receiver) = oneshot::channel();
        let mut work = None;
        runtime.block_on(async {
            let started = work.insert(DetachOnDrop::new(async move {
                tokio::task::yield_now().await;
                sender.send(7).unwrap();
            }));
            assert_eq!(futures::poll!(started), Poll::Pending);
        });
        drop(work);
        assert_eq!(runtime.block_on(receiver), Ok(7));
    }

    #[tokio::test]
    async fn work_that_panicked_is_not_run_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let mut work = Box::pin(DetachOnDrop::new(async move {
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
