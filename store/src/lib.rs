//! The event log and everything that is stored with it, on SQLite and PostgreSQL: append, ordered reads, receipts,
//! numbers, personal data, the log's identity, migrations. It knows no word of the market.
//!
//! [`Store`] is the way in. Writing goes through one [`Appender`] per process, a group commit;
//! reading goes through [`EventLog`] or, for new events, through the [`Tail`] in memory. The order
//! of [`RecordedEvent::position`] is the order of commits on both engines, so a position is a
//! cursor that skips nothing.

mod db;
mod error;
pub mod failpoint;
mod log;
mod log_limit;
mod maintenance;
mod options;
mod store;
mod subscription;

pub use db::{
    CopyIn, Db, Migrated, MissingViews, Pooled, Session, Transaction, Tx, make_private_folder,
};
pub use error::{ServerFault, StorageFault, StoreError};
pub use log::{
    AggregateStats, AggregateStore, Append, AppendError, Appended, Appender, Damage, DecodeEvent,
    Erased, EventFilter, EventLog, EventQuery, EventRef, Identity, Loaded, LogChunk, LogScan,
    LogStats, MAX_EVENTS, MAX_METADATA, MAX_PAYLOAD, NamingEvent, NewEvent, NotAStream, NumberKind,
    Numbers, PersonalData, PersonalDataTable, Raised, Receipt, ReceiptKind, Receipts,
    RecordedEvent, Remains, StreamId, Tail, WriteOnceRecord, WriteOnceRecords,
};
pub use log_limit::LogLimit;
pub use maintenance::{
    ArchiveError, ArchiveReader, Check, CheckEntry, DividedLog, DividedReader, Division,
    EntryFault, EventKind, Export, ExportOptions, FILE_DAMAGED, Finding, Gap, Header,
    ImportOptions, Imported, KnownSubscriptions, Manifest, Restored, Verified, WrittenEntry,
    import, verify,
};
pub use options::{StoreOptions, WalTrust};
pub use store::Store;
pub use subscription::{
    Advance, BlockedDeadline, Changes, Checkpoint, Checkpoints, Claim, ColumnKind, Condition,
    Deadline, DeadlineOutcome, Deadlines, Dropped, Field, Generation, Generations, KnownSources,
    Lease, Leases, Leftover, LoopProblem, LoopProblems, NextTry, NumberedRow, PageQuery, Parked,
    ParkedKeys, Postponed, RowDocument, RowTable, SourceCheckpoint, SubscriptionId, TableColumn,
    TableRow,
};
