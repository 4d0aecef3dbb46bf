//! The process that ends all parts when `gdmarket dev` is killed.
//!
//! All parts are in the process group of the keeper, whose stdin is a pipe from `gdmarket dev`. The end of the pipe without
//! a word shows that `gdmarket dev` is gone, whatever killed it; then the keeper ends the group. It also holds the lock
//! of the folder, so that a second `gdmarket dev` can't start on parts that still end.

use crate::output::{Exit, Failure};
use crate::runtime::runtime;
use rustix::process::{Pid, Signal, kill_current_process_group, kill_process_group};
use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, stdin};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

/// The flag of this program with which it is the keeper.
pub(super) const KEEPER_FLAG: &str = "--keeper";
/// What `gdmarket dev` writes once all parts have ended.
const ALL_ENDED: &[u8] = b"ended\n";
/// How long the parts may take to end after each request.
const GRACE: Duration = Duration::from_millis(1_500);
/// How long the keeper may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The running keeper. Dropping it ends all parts.
pub(super) struct Keeper {
    process: Child,
    pipe: Option<ChildStdin>,
    group: i32,
}

impl Keeper {
    /// Starts the keeper, which holds the lock from now on.
    pub(super) fn start(own: &Path, lock: File) -> Result<Self, Failure> {
        let not_started = |why| Failure::new(Exit::Failed, format!("{}: {why}", own.display()));
        let started = Command::new(own)
            .args(["dev", KEEPER_FLAG])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut process = started.map_err(|error| not_started(error.to_string()))?;
        let pipe = process.stdin.take();
        let group = process.id().and_then(|id| i32::try_from(id).ok());
        let group = group.ok_or_else(|| not_started("it ended at once".to_owned()))?;
        Ok(Self { process, pipe, group })
    }

    /// The process group that every part joins.
    pub(super) const fn group(&self) -> i32 {
        self.group
    }

    /// Waits until the keeper ends, which it does only if something else ends it.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        self.process.wait().await.ok()
    }

    /// Ends it after all parts have ended.
    pub(super) async fn finish(mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            drop(pipe.write_all(ALL_ENDED).await);
        }
        drop(timeout(END_TIMEOUT, self.process.wait()).await);
    }

    /// Has it end the parts that still run.
    pub(super) async fn end_parts(mut self) {
        drop(self.pipe.take());
        drop(timeout(END_TIMEOUT, self.process.wait()).await);
    }

    /// Ends all parts at once, as `kill -9` does.
    pub(super) fn kill_parts(&self) {
        if let Some(group) = Pid::from_raw(self.group) {
            // The group is gone if all of its processes have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs the keeper: waits for the end of the pipe, then ends the process group, itself included.
pub(super) fn run() -> Result<(), Failure> {
    runtime()?.block_on(async {
        // Those of a terminal and of its own are for the parts.
        let ignored = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let _ignored = ignored.map(signal);
        let mut line = vec![];
        drop(stdin().read_to_end(&mut line).await);
        if line == ALL_ENDED {
            return Ok(());
        }
        // SIGINT is a clean and quick end for every part; for a service the second one is an end at once.
        for signal in [Signal::INT, Signal::INT, Signal::KILL] {
            let _ = kill_current_process_group(signal);
            sleep(GRACE).await;
        }
        Err(Failure::new(Exit::Failed, "the process group still runs"))
    })
}
