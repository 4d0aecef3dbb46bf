//! A part of the market that is a process: what is shown of it, how it is started, and when it is ready.

use super::launch::Launch;
use super::readiness::Readiness;
use rustix::process::Signal;
use std::path::PathBuf;

/// What is shown of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartFacts {
    pub(super) name: &'static str,
    /// The URL where it is reached, without a password.
    pub(super) address: String,
    /// Where its data are.
    pub(super) data: String,
    /// Its settings, if it has a file of them.
    pub(super) settings: Option<PathBuf>,
    pub(super) log: PathBuf,
}

/// A part.
#[derive(Debug, Clone)]
pub(super) struct DevPart {
    pub(super) facts: PartFacts,
    pub(super) launch: Launch,
    pub(super) readiness: Readiness,
    /// The signals that end it: the second follows when the first has no effect.
    pub(super) end_signals: [Signal; 2],
}

/// SIGINT ends every part cleanly; for a service the second one is an end at once.
pub(super) const INTERRUPT_TWICE: [Signal; 2] = [Signal::INT, Signal::INT];
