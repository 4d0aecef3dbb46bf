//! An operator's work on a whole log: verifying its schema, checking it, exporting it as an archive and importing one,
//! and declaring that it was restored from an older copy.

mod archive;
mod check;
mod restore;
mod schema;
mod snapshot;

pub use archive::{
    ArchiveError, ArchiveReader, CheckEntry, DividedLog, DividedReader, Division, EntryFault,
    Export, ExportOptions, Gap, Header, ImportOptions, Imported, Manifest, Verified, WrittenEntry,
    import, verify,
};
pub use check::{Check, EventKind, FILE_DAMAGED, Finding, KnownSubscriptions};
pub use restore::Restored;
pub(crate) use restore::declare_restored;
pub(crate) use schema::{refuse_encoding, verify_schema};
