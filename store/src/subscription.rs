//! The state of subscriptions, in the database of the views: how far each one is, which process runs it, its deadlines,
//! the keys that it parked, the generations and row tables of its view, and why its loop is blocked.

mod checkpoint;
mod deadline;
mod generation;
mod known_sources;
mod lease;
mod loop_problem;
mod parked;
mod row_table;
mod subscription_id;

pub use checkpoint::{Advance, Checkpoint, Checkpoints, Claim, SourceCheckpoint};
pub use deadline::{BlockedDeadline, Changes, Deadline, DeadlineOutcome, Deadlines, Postponed};
pub use generation::{Generation, Generations};
pub use known_sources::KnownSources;
pub use lease::{Lease, Leases};
pub use loop_problem::{LoopProblem, LoopProblems};
pub use parked::{Dropped, NextTry, Parked, ParkedKeys};
pub use row_table::{
    ColumnKind, Condition, Field, Leftover, NumberedRow, PageQuery, RowDocument, RowTable,
    TableColumn, TableRow,
};
pub use subscription_id::SubscriptionId;
