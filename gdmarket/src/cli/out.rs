//! Data on stdout, however much it is: collected into larger writes, and ended quietly when whoever
//! reads it goes away (`… | head`).

use super::text::Text;
use super::{Console, Exit, Failure};
use crate::printable;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write as _};

/// The way to stdout.
pub(super) struct Out {
    to: BufWriter<Stdout>,
    has_colour: bool,
}

impl Out {
    pub(super) fn new(console: Console) -> Self {
        Self { to: BufWriter::new(io::stdout()), has_colour: console.may_colour() }
    }

    /// Writes a line; it may be kept back until [`Out::flush`].
    pub(super) fn line(&mut self, line: impl Into<Text>) -> Result<(), Failure> {
        let line = line.into().render(self.has_colour);
        self.program_text(&line)
    }

    /// Writes several lines.
    pub(super) fn lines(&mut self, lines: &str) -> Result<(), Failure> {
        self.program_text(&printable::lines(lines))
    }

    /// Writes text that is this program's own, as it is.
    pub(super) fn program_text(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(|error| ended(&error))
    }

    /// Hands over what was kept back.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| ended(&error))
    }
}

/// What it means that a result can't be written.
pub(super) fn ended(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::new(Exit::NobodyReads, ""),
        _ => Failure::new(Exit::Failed, format!("stdout: {error}")),
    }
}
