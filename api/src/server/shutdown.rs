//! The stage of the program's shutdown, which all its parts can read and wait for.

use std::time::Duration;
use tokio::sync::watch;

/// The stages of a shutdown, in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// No shutdown is requested.
    #[default]
    Serving,
    /// The server is not ready; it serves requests for the drain delay, then finishes those in flight.
    Draining,
    /// The program ends at once.
    Now,
}

/// A view of the stage, which the handler of signals sets.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Stage>);

impl Shutdown {
    /// A shutdown that `sender` drives.
    pub fn new() -> (watch::Sender<Stage>, Self) {
        let (sender, receiver) = watch::channel(Stage::Serving);
        (sender, Self(receiver))
    }

    /// Whether a shutdown is requested.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    /// Waits for this stage or a later one; without a sender it never comes.
    pub async fn reached(&mut self, stage: Stage) {
        if self.0.wait_for(|reached| *reached >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the server accepts no more requests: the drain delay after the request to shut down, or at
    /// once after a second one.
    pub async fn stopped_accepting(mut self, drain_delay: Duration) {
        self.reached(Stage::Draining).await;
        tokio::select! {
            () = tokio::time::sleep(drain_delay) => {}
            () = self.reached(Stage::Now) => {}
        }
    }
}
