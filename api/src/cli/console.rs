//! Talking to whoever typed the command: results on stdout, everything else on stderr, JSON for
//! programs, colours only for terminals.

use super::Failure;
use super::out::ended;
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
static UNTOLD: OnceLock<io::Error> = OnceLock::new();

/// What a word is about; only for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Faint,
}

impl Console {
    /// A console with these wishes.
    pub fn new(is_json: bool, is_quiet: bool, no_colour: bool) -> Self {
        let has_colour = !no_colour && io::stdout().is_terminal();
        Self { is_json, is_quiet, has_colour }
    }

    pub(super) const fn is_json(self) -> bool {
        self.is_json
    }

    pub(super) const fn may_colour(self) -> bool {
        self.has_colour
    }

    /// Whether it may say how things go.
    pub(super) const fn may_talk(self) -> bool {
        !self.is_quiet
    }

    pub(super) fn painted(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Faint => "2",
        };
        if self.has_colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A result. The first one that can't be written decides how the program ends: [`Console::told`].
    pub(super) fn result(text: &str) {
        if let Err(error) = writeln!(io::stdout(), "{text}") {
            drop(UNTOLD.set(error));
        }
    }

    /// Whether every result could be written.
    pub(super) fn told() -> Result<(), Failure> {
        UNTOLD.get().map_or(Ok(()), |error| Err(ended(error)))
    }

    /// A result for programs.
    pub(super) fn result_json(value: &Value) {
        Self::result(&value.to_string());
    }

    /// How things go.
    pub(super) fn note(self, text: &str) {
        if !self.is_quiet {
            drop(writeln!(io::stderr(), "{text}"));
        }
    }

    /// Why the program ends, and what to do next.
    pub(super) fn fail(self, failure: &Failure) {
        let Failure { message, next, .. } = failure;
        if message.is_empty() {
            return;
        }
        if self.is_json {
            let faults: Vec<&str> = message.lines().collect();
            let told = json!({"error": faults, "next": next});
            drop(writeln!(io::stderr(), "{told}"));
            return;
        }
        let next = next.as_ref().map(|next| format!(" → {next}")).unwrap_or_default();
        if !message.contains('\n') {
            // One fault is one line, for whoever reads it in a log.
            drop(writeln!(io::stderr(), "gdmarket: {message}{next}"));
            return;
        }
        for line in message.lines() {
            drop(writeln!(io::stderr(), "gdmarket: {line}"));
        }
        if !next.is_empty() {
            drop(writeln!(io::stderr(), "{next}"));
        }
    }
}
