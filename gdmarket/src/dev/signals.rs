//! The signals that ask `gdmarket dev` to end: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed.

use crate::output::{Exit, Failure};
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// The requests to end.
pub(super) struct ShutdownSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl ShutdownSignals {
    /// Receives them from now on.
    pub(super) fn receive() -> Result<Self, Failure> {
        let of_system = |error: io::Error| {
            Failure::new(Exit::Failed, format!("signals can't be received: {error}"))
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(of_system)?,
            terminate: signal(SignalKind::terminate()).map_err(of_system)?,
            hang_up: signal(SignalKind::hangup()).map_err(of_system)?,
        })
    }

    /// Waits for the next one after a pause, in which none counts.
    pub(super) async fn next_after(&mut self, pause: Duration) {
        let started = Instant::now();
        loop {
            self.next().await;
            if started.elapsed() >= pause {
                return;
            }
        }
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
