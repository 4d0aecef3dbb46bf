//! The progress of long work: a bar on a terminal, a plain line every five seconds elsewhere. Both go to stderr, so
//! that stdout carries nothing but data.

use crate::output::Console;
use indicatif::{
    HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// How often progress is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// How often a bar is redrawn.
const FRAMES_PER_SECOND: u8 = 10;
const BAR: &str = "{msg} {wide_bar} {human_pos} of {human_len}{pace}";

/// The progress of one piece of work. The last line stays on the terminal when it is dropped unfinished.
pub(crate) struct ProgressLine {
    what: String,
    bar: ProgressBar,
    console: Console,
    /// The task that prints lines where no bar is drawn, also during one long step.
    _lines: Option<AbortOnDropHandle<()>>,
}

impl ProgressLine {
    /// Starts the progress of work of `total` steps; `what` names the work: "reading events".
    pub(crate) fn start(console: Console, what: &str, total: u64) -> Self {
        let is_drawn = console.prints_notes() && io::stderr().is_terminal();
        let target = if is_drawn {
            ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            let pace = |state: &ProgressState, out: &mut dyn fmt::Write| {
                write!(out, "{}", pace(state.per_sec(), state.eta())).ok();
            };
            bar.set_style(style.with_key("pace", pace));
        }
        let prints_lines = !is_drawn && console.prints_notes();
        let print = || tokio::spawn(print_lines(console, what.to_owned(), bar.clone()));
        let lines = prints_lines.then(|| AbortOnDropHandle::new(print()));
        Self { what: what.to_owned(), bar, console, _lines: lines }
    }

    /// Starts the progress of work of unknown size: prints what is done, and then for how long.
    pub(crate) fn start_unsized(console: Console, what: &str) -> Self {
        console.note(what);
        Self::start(console, what, 0)
    }

    /// Ends the progress without a last line.
    pub(crate) fn finish_silently(&self) {
        self.bar.finish_and_clear();
    }

    /// Sets how much is done; more than the total raises the total.
    pub(crate) fn reached(&self, done: u64) {
        if self.bar.length().is_some_and(|total| total < done) {
            self.bar.set_length(done);
        }
        self.bar.set_position(done);
    }

    /// As [`ProgressLine::reached`], for work whose size was not known before.
    pub(crate) fn reached_of(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.reached(done);
    }

    /// Ends the progress with a line that shows how long the work took.
    pub(crate) fn finish(&self) {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let (done, total) = (HumanCount(done), HumanCount(total));
        let took = self.bar.elapsed();
        self.bar.finish_and_clear();
        self.console.note(&format!("{}: {done} of {total} in {took:.1?}", self.what));
    }
}

async fn print_lines(console: Console, what: String, bar: ProgressBar) {
    loop {
        sleep(LINE_INTERVAL).await;
        console.note(&line(&what, &bar));
    }
}

/// A line of progress. Without a known size it shows only the time.
fn line(what: &str, bar: &ProgressBar) -> String {
    let (done, total) = (bar.position(), bar.length().unwrap_or_default());
    let elapsed = HumanDuration(bar.elapsed());
    match (HumanCount(done), HumanCount(total)) {
        _ if total == 0 => format!("{what}: for {elapsed}"),
        (all, of) if done >= total => {
            format!("{what}: {all} of {of}, finishing, for {elapsed}")
        }
        (some, of) => {
            let pace = pace(bar.per_sec(), bar.eta());
            format!("{what}: {some} of {of}{pace}, for {elapsed}")
        }
    }
}

/// The rate, and the time left at this rate; empty while there is no progress.
fn pace(per_second: f64, left: Duration) -> String {
    if per_second < 0.5 {
        return String::new();
    }
    format!(", {per_second:.0}/s, {} left", HumanDuration(left))
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            // The next output begins on a new line.
            self.bar.abandon();
            if !self.bar.is_hidden() {
                drop(writeln!(io::stderr()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_share_that_is_done_or_only_the_time() {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        assert_eq!(line("counting", &bar), "counting: for 0 seconds");
        bar.set_length(4_000);
        bar.set_position(1_000);
        let half = line("events", &bar);
        assert!(half.starts_with("events: 1,000 of 4,000, "), "{half}");
        assert!(half.contains("/s, ") && half.contains(" left, for 0 seconds"), "{half}");
        assert_eq!(pace(0.2, Duration::ZERO), "", "the time left is unknown");
        bar.set_position(4_000);
        assert_eq!(line("events", &bar), "events: 4,000 of 4,000, finishing, for 0 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_counted_until_it_is_finished() {
        let progress = ProgressLine::start(Console::new(false, false, true), "events", 10);
        progress.reached(3);
        assert_eq!((progress.bar.position(), progress.bar.length()), (3, Some(10)));
        progress.reached(12);
        assert_eq!(progress.bar.length(), Some(12), "more than the total raises it");
        progress.finish();
    }
}
