//! The whole log as a file of lines, and back: everything that is needed to continue elsewhere, on either engine.
//!
//! [`Export`] reads one snapshot and returns lines; [`ArchiveReader`] checks them, [`import()`] fills an empty log
//! with them, all or nothing. Derived data (views, their checkpoints, leases) is no part of it. docs/archive.md
//! describes the format; the caller deals with files, compression and messages.

mod chain;
mod export;
mod import;
mod line;
mod manifest;
mod reader;
mod sequences;
mod verify;

pub use export::{Export, ExportOptions};
pub use import::{DividedLog, DividedReader, Division, ImportOptions, Imported, import};
pub use line::Header;
pub use manifest::Manifest;
pub use reader::{ArchiveReader, CheckEntry, EntryFault, WrittenEntry};
pub use sequences::Gap;
pub use verify::{Verified, verify};

use crate::error::StoreError;

/// The format's name, in the first line of every archive.
pub(crate) const FORMAT: &str = "gdmarket-log";

/// The version of the format that this program writes, and the newest it reads.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// The version from which on a name is stored with its stream, and records that are written once are part of an
/// archive.
pub(crate) const WITH_BOOKS: u32 = 2;

/// Why an archive was not written, or not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read.
    #[error("the archive can't be read: {0}")]
    Io(#[from] std::io::Error),
    /// The file isn't what it should be; nothing of it was taken.
    #[error("line {line} of the archive: {fault}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// Its fault.
        fault: String,
    },
    /// The file is whole, but has an entry that no caller could have sent; nothing of it was taken.
    #[error("line {line} of the archive: {fault}")]
    Entry {
        /// Counted from 1.
        line: u64,
        /// Which field is wrong, and how.
        fault: String,
        /// The operator's next step.
        next: &'static str,
    },
    /// The file was written by a newer program.
    #[error("the archive has format version {0}, this program reads up to {FORMAT_VERSION}")]
    Newer(u64),
    /// The events of the file contradict each other; nothing of them was taken.
    #[error("the archive contradicts itself: {0}")]
    Contradiction(String),
    /// The log has events or receipts already.
    #[error("the log there is not empty: {0}")]
    NotEmpty(String),
    /// Another process uses the log that is to be filled.
    #[error("the log there is in use: {0}")]
    InUse(String),
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
