//! The console: results on stdout, everything else on stderr, JSON for programs, colours only for terminals.

use crate::config::masked;
use crate::output::Failure;
use crate::output::text::Text;
use crate::printable;
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

/// How the program writes to stdout and stderr.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    is_json: bool,
    is_quiet: bool,
    has_colour: bool,
}

/// The first error of writing a result: a full disk, or a reader that closed the pipe.
static FIRST_WRITE_ERROR: OnceLock<io::Error> = OnceLock::new();

impl Console {
    /// A console as the flags ask for it.
    pub fn new(is_json: bool, is_quiet: bool, no_colour: bool) -> Self {
        let has_colour = !no_colour && io::stdout().is_terminal();
        Self { is_json, is_quiet, has_colour }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.is_json
    }

    pub(crate) const fn has_colour(self) -> bool {
        self.has_colour
    }

    /// Whether notes and progress are printed.
    pub(crate) const fn prints_notes(self) -> bool {
        !self.is_quiet
    }

    /// Prints a line of a result, with colours.
    pub(crate) fn print(self, line: &Text) {
        write_result(&line.render(self.has_colour));
    }

    /// Prints a line of a result.
    pub(crate) fn result(line: &str) {
        write_result(&printable::one_line(line));
    }

    /// Prints a result of several lines.
    pub(crate) fn result_lines(lines: &str) {
        write_result(&printable::lines(lines));
    }

    /// Fails if a result couldn't be written.
    pub(crate) fn finish() -> Result<(), Failure> {
        FIRST_WRITE_ERROR.get().map_or(Ok(()), |error| Err(Failure::of_stdout(error)))
    }

    /// Prints a result for programs.
    pub(crate) fn result_json(value: &Value) {
        Self::result(&value.to_string());
    }

    /// Prints a note on the course of the work.
    pub(crate) fn note(self, text: &str) {
        if self.is_quiet {
            return;
        }
        if self.is_json {
            write_error_line(&json!({"note": masked(text)}).to_string());
        } else {
            write_error_line(&masked(text));
        }
    }

    /// Prints why the program fails, and what to do next.
    pub(crate) fn fail(self, failure: &Failure) {
        let Failure { message, next, .. } = failure;
        if message.is_empty() {
            return;
        }
        if self.is_json {
            let faults: Vec<_> = message.lines().map(masked).collect();
            let next = next.as_deref().map(masked);
            write_error_line(&json!({"error": faults, "next": next}).to_string());
            return;
        }
        let next = next.as_ref().map(|next| format!(" → {next}")).unwrap_or_default();
        if !message.contains('\n') {
            // One fault is one line, so that it stays together in a log.
            write_error_line(&masked(&format!("gdmarket: {message}{next}")));
            return;
        }
        for line in message.lines() {
            write_error_line(&masked(&format!("gdmarket: {line}")));
        }
        if !next.is_empty() {
            write_error_line(&masked(&next));
        }
    }
}

/// Writes a result. The first one that can't be written decides how the program ends: [`Console::finish`].
fn write_result(safe: &str) {
    if let Err(error) = writeln!(io::stdout(), "{safe}") {
        drop(FIRST_WRITE_ERROR.set(error));
    }
}

/// Writes anything but a result.
pub(crate) fn write_error_line(text: &str) {
    drop(writeln!(io::stderr(), "{}", printable::lines(text)));
}
