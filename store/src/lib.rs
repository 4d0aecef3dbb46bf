//! The event log and what hangs on it, on SQLite and PostgreSQL: append, ordered reads, receipts,
//! numbers, personal data, the log's identity, migrations. It knows no word of the market.
//!
//! [`Store`] is the way in. Writing goes through one [`Appender`] per process, a group commit;
//! reading goes through [`EventLog`] or, for what is new, through the [`Tail`] in memory. The order
//! of [`RecordedEvent::position`] is the order of commits on both engines, so a position is a
//! cursor that skips nothing.

mod archive;
mod check;
mod checkpoint;
mod db;
mod deadline;
mod error;
pub mod failpoint;
mod generation;
mod hex;
mod lease;
mod log;
mod log_limit;
mod loop_problem;
mod options;
mod parked;
mod restore;
mod row_table;
mod schema;
mod snapshot;
mod store;

pub use archive::{
    ArchiveError, ArchiveReader, CheckEntry, Entry, EntryFault, Export, ExportOptions, Gap, Header,
    ImportOptions, Imported, Manifest, Verified, import, verify,
};
pub use check::{Check, EventKind, FILE_DAMAGED, Finding, KnownSubscriptions};
pub use checkpoint::{Checkpoints, Claim};
pub use db::{
    CopyIn, Db, Migrated, MissingViews, Pooled, Session, Transaction, Tx, make_private_folder,
};
pub use deadline::{BlockedDeadline, Changes, Deadline, Deadlines, Postponed, Tried};
pub use error::{ServerFault, StorageFault, StoreError};
pub use generation::{Generation, Generations};
pub use lease::{Lease, Leases};
pub use log::{
    AggregateStats, AggregateStore, Append, AppendError, Appended, Appender, Damage, DecodeEvent,
    Erased, EventFilter, EventLog, EventQuery, EventRef, Identity, Loaded, LogChunk, LogScan,
    LogStats, MAX_EVENTS, MAX_METADATA, MAX_PAYLOAD, NamingEvent, NewEvent, NotAStream, NumberKind,
    Numbers, PersonalData, PersonalDataTable, Raised, Receipt, ReceiptKind, Receipts,
    RecordedEvent, Remains, StreamId, Tail, WriteOnceRecord as BookEntry,
    WriteOnceRecords as Books,
};
pub use log_limit::LogLimit;
pub use loop_problem::{LoopProblem, LoopProblems};
pub use options::{StoreOptions, WalTrust};
pub use parked::{Dropped, Parked, ParkedKeys};
pub use restore::Restored;
pub use row_table::{
    ColumnKind, Condition, Field, Leftover, Numbered, PageQuery, RowDocument, RowTable,
    TableColumn, TableRow,
};
pub use store::Store;
