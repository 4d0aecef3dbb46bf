//! Keeps a part running: starts its process, starts it again when it dies, and ends it when that is requested.

use super::folder::last_lines;
use super::part::{DevPart, PartFacts};
use super::restart_delay::RestartDelay;
use crate::output::{Exit, Failure};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a part may take until it is ready, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a part is started that ends before it is ready.
const START_ATTEMPTS: u32 = 4;
/// How long a part may take to end after each signal.
const END_GRACE: Duration = Duration::from_secs(5);
/// How many lines of the log of a dead part are shown.
const SHOWN_LINES: usize = 10;

/// What happens to a part after its start.
#[derive(Debug, Clone)]
pub(super) enum PartReport {
    /// It has no process: it ended by itself, or wasn't started. The next one is started after this time.
    Ended { part: PartFacts, why: String, last_lines: Vec<String>, next_after: Duration },
    /// It has a new process.
    Restarted { part: PartFacts, pid: u32 },
}

/// Starts parts in one process group.
#[derive(Debug, Clone)]
pub(super) struct Supervisor {
    pub(super) group: i32,
    pub(super) reports: mpsc::Sender<PartReport>,
}

/// A part that is kept running.
#[derive(Debug)]
pub(super) struct RunningPart {
    pub(super) facts: PartFacts,
    /// Its first process.
    pub(super) pid: u32,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningPart {
    /// Ends the part; returns when its process is gone.
    pub(super) async fn end(self) {
        self.stopping.cancel();
        drop(self.task.await);
    }
}

impl Supervisor {
    /// Starts a part; returns when it is ready. A part that ends before that is tried again a few times: the rest of an
    /// earlier one may still hold a file or a port.
    pub(super) async fn start(&self, part: DevPart) -> Result<RunningPart, Failure> {
        let mut delay = RestartDelay::default();
        for _ in 1..START_ATTEMPTS {
            match self.try_start(&part).await {
                Ok(running) => return Ok(running),
                Err(_) => sleep(delay.after(Duration::ZERO)).await,
            }
        }
        self.try_start(&part).await
    }

    async fn try_start(&self, part: &DevPart) -> Result<RunningPart, Failure> {
        let started = part.launch.spawn(self.group, &part.facts.log);
        let mut child = started.map_err(|error| not_started(part, &error.to_string()))?;
        tokio::select! {
            ended = child.wait() => return Err(not_started(part, &described(&ended))),
            ready = timeout(START_TIMEOUT, part.readiness.reached()) => if ready.is_err() {
                drop(child.kill().await);
                let why = format!("it isn't ready after {} s", START_TIMEOUT.as_secs());
                return Err(not_started(part, &why));
            },
        }
        let (facts, pid) = (part.facts.clone(), child.id().unwrap_or_default());
        let stopping = CancellationToken::new();
        let task = tokio::spawn(self.clone().keep_running(part.clone(), child, stopping.clone()));
        Ok(RunningPart { facts, pid, stopping, task })
    }

    async fn keep_running(self, part: DevPart, first: Child, stopping: CancellationToken) {
        let mut delay = RestartDelay::default();
        let mut process = first;
        loop {
            let started = Instant::now();
            let ended = tokio::select! {
                ended = process.wait() => ended,
                () = stopping.cancelled() => return end(&mut process, &part).await,
            };
            let mut why = described(&ended);
            let mut next_after = delay.after(started.elapsed());
            process = loop {
                self.report(report_of_end(&part, why, next_after)).await;
                tokio::select! {
                    () = sleep(next_after) => {}
                    () = stopping.cancelled() => return,
                }
                match part.launch.spawn(self.group, &part.facts.log) {
                    Ok(process) => break process,
                    Err(error) => why = format!("it can't be started: {error}"),
                }
                next_after = delay.after(Duration::ZERO);
            };
            let pid = process.id().unwrap_or_default();
            self.report(PartReport::Restarted { part: part.facts.clone(), pid }).await;
        }
    }

    /// Hands a report on; while all is ended no report is read any more.
    async fn report(&self, report: PartReport) {
        drop(self.reports.send(report).await);
    }
}

fn report_of_end(part: &DevPart, why: String, next_after: Duration) -> PartReport {
    let last_lines = last_lines(&part.facts.log, SHOWN_LINES);
    PartReport::Ended { part: part.facts.clone(), why, last_lines, next_after }
}

fn described(ended: &io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("it ended with {status}"),
        Err(error) => format!("it is lost: {error}"),
    }
}

/// The failure of a start, with the last lines of the log.
fn not_started(part: &DevPart, why: &str) -> Failure {
    let PartFacts { name, log, .. } = &part.facts;
    let mut message = format!("{name} doesn't start: {why}");
    for line in last_lines(log, SHOWN_LINES) {
        message.extend(["\n  ", &line]);
    }
    Failure::new(Exit::Failed, message).next(format!("its whole log is {}", log.display()))
}

/// Ends a process by its signals, and by SIGKILL when they have no effect.
async fn end(process: &mut Child, part: &DevPart) {
    for signal in part.end_signals {
        send(process, signal);
        if timeout(END_GRACE, process.wait()).await.is_ok() {
            return;
        }
    }
    drop(process.kill().await);
}

fn send(process: &Child, signal: Signal) {
    let pid = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // The process may have ended in this moment.
        let _ = kill_process(pid, signal);
    }
}
