//! The event log and what hangs on it, on SQLite and PostgreSQL: append, ordered reads, receipts,
//! numbers, personal data, the log's identity, migrations. It knows no word of the market.
//!
//! [`Store`] is the way in. Writing goes through one [`Appender`] per process, a group commit;
//! reading goes through [`EventLog`] or, for what is new, through the [`Tail`] in memory. The order
//! of [`RecordedEvent::position`] is the order of commits on both engines, so a position is a
//! cursor that skips nothing.

mod aggregate_store;
mod append;
mod appender;
mod archive;
mod books;
mod check;
mod checkpoint;
mod continuity;
mod db;
mod deadline;
mod error;
mod event;
mod event_log;
mod event_query;
mod event_stats;
pub mod failpoint;
mod generation;
mod hex;
mod identity;
mod lease;
mod log_limit;
mod log_scan;
mod loop_problem;
mod numbers;
mod options;
mod parked;
mod personal_data;
mod receipt;
mod restore;
mod row_table;
mod schema;
mod snapshot;
mod store;
mod stream_loader;
mod tail;

pub use aggregate_store::{AggregateStore, DecodeEvent, Loaded};
pub use append::{Append, AppendError, Appended, MAX_EVENTS, MAX_METADATA, MAX_PAYLOAD};
pub use appender::Appender;
pub use archive::{
    ArchiveError, ArchiveReader, CheckEntry, Entry, EntryFault, Export, ExportOptions, Gap, Header,
    ImportOptions, Imported, Manifest, Verified, import, verify,
};
pub use books::{BookEntry, Books};
pub use check::{Check, EventKind, FILE_DAMAGED, Finding, KnownSubscriptions};
pub use checkpoint::{Checkpoints, Claim};
pub use db::{
    CopyIn, Db, Migrated, MissingViews, Pooled, Session, Transaction, Tx, make_private_folder,
};
pub use deadline::{BlockedDeadline, Changes, Deadline, Deadlines, Postponed, Tried};
pub use error::{ServerFault, StorageFault, StoreError};
pub use event::{Damage, EventRef, NewEvent, NotAStream, RecordedEvent, StreamId};
pub use event_log::EventLog;
pub use event_query::{EventFilter, EventQuery};
pub use event_stats::{AggregateStats, LogStats};
pub use generation::{Generation, Generations};
pub use identity::Identity;
pub use lease::{Lease, Leases};
pub use log_limit::LogLimit;
pub use log_scan::{LogChunk, LogScan};
pub use loop_problem::{LoopProblem, LoopProblems};
pub use numbers::{NamingEvent, NumberKind, Numbers, Raised};
pub use options::{StoreOptions, WalTrust};
pub use parked::{Dropped, Parked, ParkedKeys};
pub use personal_data::{Erased, PersonalData, PersonalDataTable, Remains};
pub use receipt::{Receipt, ReceiptKind, Receipts};
pub use restore::Restored;
pub use row_table::{
    ColumnKind, Condition, Field, Leftover, Numbered, PageQuery, RowDocument, RowTable,
    TableColumn, TableRow,
};
pub use store::Store;
pub use tail::Tail;
