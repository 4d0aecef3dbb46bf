//! The program's output for the person or script that typed a command: results, notes, progress, failures and
//! their exit codes. No module here knows a subcommand.

pub(crate) mod confirmation;
pub(crate) mod console;
pub(crate) mod event_lines;
mod failure;
pub(crate) mod progress;
pub(crate) mod result_writer;
pub(crate) mod text;

pub use console::Console;
pub use failure::{Exit, Failure};
