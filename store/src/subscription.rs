//! The state of subscriptions, in the database of the views: how far each one is, which process runs it, its deadlines,
//! the keys that it parked, the generations and row tables of its view, and why its loop is blocked.

mod checkpoint;
mod deadline;
mod generation;
mod lease;
mod loop_problem;
mod parked;
mod row_table;

pub use checkpoint::{Advance, Checkpoint, Checkpoints, Claim};
pub use deadline::{BlockedDeadline, Changes, Deadline, DeadlineOutcome, Deadlines, Postponed};
pub use generation::{Generation, Generations};
pub use lease::{Lease, Leases};
pub use loop_problem::{LoopProblem, LoopProblems};
pub use parked::{Dropped, NextTry, Parked, ParkedKeys};
pub use row_table::{
    ColumnKind, Condition, Field, Leftover, NumberedRow, PageQuery, RowDocument, RowTable,
    TableColumn, TableRow,
};
