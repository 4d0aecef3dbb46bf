//! How far the end of the program has come, seen by everyone who takes part in it.

use std::time::Duration;
use tokio::sync::watch;

/// The stages of the end, in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not yet.
    #[default]
    Serving,
    /// Unready; what comes is still served for the drain delay, then finished.
    Draining,
    /// At once.
    Now,
}

/// A view of the stage; the sender is whoever hears the signals.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Stage>);

impl Shutdown {
    /// A shutdown that `sender` drives.
    pub fn new() -> (watch::Sender<Stage>, Self) {
        let (sender, receiver) = watch::channel(Stage::Serving);
        (sender, Self(receiver))
    }

    /// Whether the program is on its way to the end.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    /// Waits for this stage, or a later one. Without a sender there is no end.
    pub async fn reached(&mut self, stage: Stage) {
        if self.0.wait_for(|reached| *reached >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until nothing new is accepted any more: the drain delay after the end has begun, or at
    /// once when told twice.
    pub async fn stopped_accepting(mut self, drain_delay: Duration) {
        self.reached(Stage::Draining).await;
        tokio::select! {
            () = tokio::time::sleep(drain_delay) => {}
            () = self.reached(Stage::Now) => {}
        }
    }
}
