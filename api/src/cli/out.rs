//! Data on stdout, however much it is: collected into larger writes, and ended quietly when whoever
//! reads it goes away (`… | head`).

use super::{Exit, Failure};
use std::io::{self, BufWriter, ErrorKind, Stdout, Write as _};

/// The way to stdout.
pub(super) struct Out(BufWriter<Stdout>);

impl Out {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    /// Writes a line; it may be kept back until [`Out::flush`].
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.0, "{text}").map_err(|error| ended(&error))
    }

    /// Hands over what was kept back.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| ended(&error))
    }
}

/// What it means that a result can't be written.
pub(super) fn ended(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::new(Exit::NobodyReads, ""),
        _ => Failure::new(Exit::Failed, format!("stdout: {error}")),
    }
}
