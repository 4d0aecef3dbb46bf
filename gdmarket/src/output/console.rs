//! Talking to whoever typed the command: results on stdout, everything else on stderr, JSON for
//! programs, colours only for terminals.

use crate::config::masked;
use crate::output::Failure;
use crate::output::text::Text;
use crate::printable;
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

/// How the program talks.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    is_json: bool,
    is_quiet: bool,
    has_colour: bool,
}

/// Why a result wasn't written: a full disk, or a reader that went away.
static FIRST_WRITE_ERROR: OnceLock<io::Error> = OnceLock::new();

impl Console {
    /// A console with these wishes.
    pub fn new(is_json: bool, is_quiet: bool, no_colour: bool) -> Self {
        let has_colour = !no_colour && io::stdout().is_terminal();
        Self { is_json, is_quiet, has_colour }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.is_json
    }

    pub(crate) const fn may_colour(self) -> bool {
        self.has_colour
    }

    /// Whether it may say how things go.
    pub(crate) const fn may_talk(self) -> bool {
        !self.is_quiet
    }

    /// A line of a result, with colours.
    pub(crate) fn print(self, line: &Text) {
        write_result(&line.render(self.has_colour));
    }

    /// A line of a result.
    pub(crate) fn result(line: &str) {
        write_result(&printable::one_line(line));
    }

    /// A result of several lines.
    pub(crate) fn result_lines(lines: &str) {
        write_result(&printable::lines(lines));
    }

    /// Whether every result could be written.
    pub(crate) fn finish() -> Result<(), Failure> {
        FIRST_WRITE_ERROR.get().map_or(Ok(()), |error| Err(Failure::of_stdout(error)))
    }

    /// A result for programs.
    pub(crate) fn result_json(value: &Value) {
        Self::result(&value.to_string());
    }

    /// How things go.
    pub(crate) fn note(self, text: &str) {
        if self.is_quiet {
            return;
        }
        if self.is_json {
            complain(&json!({"note": masked(text)}).to_string());
        } else {
            complain(&masked(text));
        }
    }

    /// Why the program ends, and what to do next.
    pub(crate) fn fail(self, failure: &Failure) {
        let Failure { message, next, .. } = failure;
        if message.is_empty() {
            return;
        }
        if self.is_json {
            let faults: Vec<_> = message.lines().map(masked).collect();
            let next = next.as_deref().map(masked);
            complain(&json!({"error": faults, "next": next}).to_string());
            return;
        }
        let next = next.as_ref().map(|next| format!(" → {next}")).unwrap_or_default();
        if !message.contains('\n') {
            // One fault is one line, for whoever reads it in a log.
            complain(&masked(&format!("gdmarket: {message}{next}")));
            return;
        }
        for line in message.lines() {
            complain(&masked(&format!("gdmarket: {line}")));
        }
        if !next.is_empty() {
            complain(&masked(&next));
        }
    }
}

/// The first result that can't be written decides how the program ends: [`Console::finish`].
fn write_result(safe: &str) {
    if let Err(error) = writeln!(io::stdout(), "{safe}") {
        drop(FIRST_WRITE_ERROR.set(error));
    }
}

/// Anything but a result.
pub(crate) fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{}", printable::lines(text)));
}
