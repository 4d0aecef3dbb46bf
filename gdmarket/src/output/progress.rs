//! How far long work is: a bar on a terminal, a plain line every five seconds elsewhere, on stderr
//! either way, so that stdout carries nothing but data.

use crate::output::Console;
use indicatif::{
    HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// How often work that nobody watches says where it is.
const EVERY: Duration = Duration::from_secs(5);
/// How often a bar is drawn.
const FRAMES_PER_SECOND: u8 = 10;
const BAR: &str = "{msg} {wide_bar} {human_pos} of {human_len}{pace}";

/// The progress of one piece of work. Dropped, it leaves the last line standing.
pub(crate) struct ProgressLine {
    what: String,
    bar: ProgressBar,
    console: Console,
    /// Says where nobody watches how far it is, also while it is at one long step.
    _saying: Option<AbortOnDropHandle<()>>,
}

impl ProgressLine {
    /// Begins work of `total` steps, `what` being what is done to how much: "reading events".
    pub(crate) fn start(console: Console, what: &str, total: u64) -> Self {
        let is_drawn = console.may_talk() && io::stderr().is_terminal();
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
        let says = !is_drawn && console.may_talk();
        let say = || tokio::spawn(say(console, what.to_owned(), bar.clone()));
        let saying = says.then(|| AbortOnDropHandle::new(say()));
        Self { what: what.to_owned(), bar, console, _saying: saying }
    }

    /// Begins work of which nobody knows how much it is: says so, and then for how long it goes on.
    pub(crate) fn pass(console: Console, what: &str) -> Self {
        console.note(what);
        Self::start(console, what, 0)
    }

    /// It is done, and there is nothing to say of it.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// So much is done by now; more than the total raises the total.
    pub(crate) fn reached(&self, done: u64) {
        if self.bar.length().is_some_and(|total| total < done) {
            self.bar.set_length(done);
        }
        self.bar.set_position(done);
    }

    /// As [`ProgressLine::reached`], for work whose size is known only by now.
    pub(crate) fn reached_of(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.reached(done);
    }

    /// All is done: says so, with how long it took.
    pub(crate) fn finish(&self) {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let (done, total) = (HumanCount(done), HumanCount(total));
        let took = self.bar.elapsed();
        self.bar.finish_and_clear();
        self.console.note(&format!("{}: {done} of {total} in {took:.1?}", self.what));
    }
}

async fn say(console: Console, what: String, bar: ProgressBar) {
    loop {
        sleep(EVERY).await;
        console.note(&line(&what, &bar));
    }
}

/// Before it is known how much there is, and after the last of it, only time is told.
fn line(what: &str, bar: &ProgressBar) -> String {
    let (done, total) = (bar.position(), bar.length().unwrap_or_default());
    let for_so_long = HumanDuration(bar.elapsed());
    match (HumanCount(done), HumanCount(total)) {
        _ if total == 0 => format!("{what}: for {for_so_long}"),
        (all, of) if done >= total => {
            format!("{what}: {all} of {of}, finishing, for {for_so_long}")
        }
        (some, of) => {
            let pace = pace(bar.per_sec(), bar.eta());
            format!("{what}: {some} of {of}{pace}, for {for_so_long}")
        }
    }
}

/// How fast it goes, and how long it will at that; nothing while it doesn't.
fn pace(per_second: f64, left: Duration) -> String {
    if per_second < 0.5 {
        return String::new();
    }
    format!(", {per_second:.0}/s, {} left", HumanDuration(left))
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            // Whatever is said next begins a line.
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
    fn a_line_says_how_much_of_how_much_or_else_for_how_long() {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        assert_eq!(line("counting", &bar), "counting: for 0 seconds");
        bar.set_length(4_000);
        bar.set_position(1_000);
        let half = line("events", &bar);
        assert!(half.starts_with("events: 1,000 of 4,000, "), "{half}");
        assert!(half.contains("/s, ") && half.contains(" left, for 0 seconds"), "{half}");
        assert_eq!(pace(0.2, Duration::ZERO), "", "nobody knows how long that takes");
        bar.set_position(4_000);
        assert_eq!(line("events", &bar), "events: 4,000 of 4,000, finishing, for 0 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_dropped_with_what_it_says() {
        let progress = ProgressLine::start(Console::new(false, false, true), "events", 10);
        progress.reached(3);
        assert_eq!((progress.bar.position(), progress.bar.length()), (3, Some(10)));
        progress.reached(12);
        assert_eq!(progress.bar.length(), Some(12), "more than the total raises it");
        progress.finish();
    }
}
