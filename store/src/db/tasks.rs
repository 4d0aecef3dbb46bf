//! The background tasks of one store. They end together when it closes.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tracker of a store's tasks, and the token that ends them. Clones are the same set of tasks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Tasks {
    /// Runs a task that is dropped where it waits when the store closes.
    pub(crate) fn spawn_until_stopped<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(self.stop.clone().run_until_cancelled_owned(task));
    }

    /// Ends all tasks and waits for them.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
