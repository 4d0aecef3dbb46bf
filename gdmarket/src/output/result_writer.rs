//! Writes data of any size to stdout: collected into larger writes, and ended silently when the reader closes the
//! pipe (`… | head`).

use crate::output::text::Text;
use crate::output::{Console, Failure};
use crate::printable;
use std::io::{self, BufWriter, Stdout, Write as _};

/// A buffered writer to stdout.
pub(crate) struct ResultWriter {
    to: BufWriter<Stdout>,
    has_colour: bool,
}

impl ResultWriter {
    pub(crate) fn new(console: Console) -> Self {
        Self { to: BufWriter::new(io::stdout()), has_colour: console.has_colour() }
    }

    /// Writes a line; it may stay in the buffer until [`ResultWriter::flush`].
    pub(crate) fn line(&mut self, line: impl Into<Text>) -> Result<(), Failure> {
        let line = line.into().render(self.has_colour);
        self.program_text(&line)
    }

    /// Writes several lines.
    pub(crate) fn lines(&mut self, lines: &str) -> Result<(), Failure> {
        self.program_text(&printable::lines(lines))
    }

    /// Writes text of this program, without escaping.
    pub(crate) fn program_text(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(|error| Failure::of_stdout(&error))
    }

    /// Writes the buffer.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|error| Failure::of_stdout(&error))
    }
}
