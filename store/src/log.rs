//! The event log: its events and receipts, appending and reading, the tail in memory, its identity, its sequences of
//! numbers, names of persons, records that are written once.

mod aggregate_store;
mod append;
mod appender;
mod event;
mod event_log;
mod event_query;
mod event_stats;
mod identity;
mod identity_guard;
mod log_scan;
mod numbers;
mod personal_data;
mod receipt;
mod stream_loader;
mod tail;
mod write_once_records;

pub use aggregate_store::{AggregateStore, DecodeEvent, Loaded};
pub(crate) use aggregate_store::{AggregateStores, decode_as_is};
pub use append::{Append, AppendError, Appended, MAX_EVENTS, MAX_METADATA, MAX_PAYLOAD};
pub use appender::Appender;
pub(crate) use appender::{PostgresWriter, Signals, SqliteWriter};
pub(crate) use event::lossy;
pub use event::{Damage, EventRef, NewEvent, NotAStream, RecordedEvent, StreamId};
pub use event_log::EventLog;
pub(crate) use event_log::head;
pub use event_query::{EventFilter, EventQuery};
pub use event_stats::{AggregateStats, LogStats};
pub use identity::Identity;
pub(crate) use identity_guard::{LogIdentityGuard, OpenFiles};
pub use log_scan::{LogChunk, LogScan};
pub(crate) use numbers::NumberUser;
pub use numbers::{NamingEvent, NumberKind, Numbers, Raised};
pub use personal_data::{Erased, PersonalData, PersonalDataTable, Remains};
pub(crate) use receipt::outcomes;
pub use receipt::{Receipt, ReceiptKind, Receipts};
pub(crate) use stream_loader::{StreamLoader, Streams};
pub use tail::Tail;
pub(crate) use tail::TailSize;
pub use write_once_records::{WriteOnceRecord, WriteOnceRecords};
