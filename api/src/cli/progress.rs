//! How far long work is: a bar on a terminal, a plain line every five seconds elsewhere, on stderr
//! either way, so that stdout carries nothing but data.

use super::Console;
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often work that nobody watches says where it is.
const EVERY: Duration = Duration::from_secs(5);
/// How often a bar is drawn.
const FRAMES_PER_SECOND: u8 = 10;
const BAR: &str = "{msg} {wide_bar} {human_pos} of {human_len} · {per_sec} · {eta} left";

/// The progress of one piece of work. Dropped, it leaves the last line standing.
pub(super) struct Progress {
    what: String,
    bar: ProgressBar,
    console: Console,
    is_drawn: bool,
    last_said: Mutex<Instant>,
}

impl Progress {
    /// Begins work of `total` steps, `what` being what is done to how much: "reading events".
    pub(super) fn start(console: Console, what: &str, total: u64) -> Self {
        let is_drawn = console.may_talk() && io::stderr().is_terminal();
        let target = if is_drawn {
            ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        let last_said = Mutex::new(Instant::now());
        Self { what: what.to_owned(), bar, console, is_drawn, last_said }
    }

    /// So much is done by now; more than the total raises the total.
    pub(super) fn reached(&self, done: u64) {
        if self.bar.length().is_some_and(|total| total < done) {
            self.bar.set_length(done);
        }
        self.bar.set_position(done);
        if !self.is_drawn && self.is_time() {
            self.console.note(&self.line());
        }
    }

    /// As [`Progress::reached`], for work whose size is known only by now.
    pub(super) fn reached_of(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.reached(done);
    }

    /// All is done: says so, with how long it took.
    pub(super) fn finish(&self) {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let (done, total) = (HumanCount(done), HumanCount(total));
        let took = self.bar.elapsed();
        self.bar.finish_and_clear();
        self.console.note(&format!("{}: {done} of {total} in {took:.1?}", self.what));
    }

    fn is_time(&self) -> bool {
        let mut last_said = self.last_said.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last_said.elapsed() >= EVERY;
        if due {
            *last_said = Instant::now();
        }
        due
    }

    fn line(&self) -> String {
        let done = HumanCount(self.bar.position());
        let total = HumanCount(self.bar.length().unwrap_or_default());
        let left = HumanDuration(self.bar.eta());
        format!("{}: {done} of {total}, {:.0}/s, {left} left", self.what, self.bar.per_sec())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.abandon();
        }
    }
}
