//! Process managers, independent of the market: the table of reactions as a trait, and the reactor that runs it
//! over batches, retries of parked keys and deadlines.

mod deadline_payload;
mod deadlines;
mod job;
mod manager;
mod outcome;
mod plan;
mod port;
mod reactor;
mod retries;
mod sender;

pub(crate) use deadline_payload::blocked_deadlines;
pub use deadline_payload::cause_position;
pub(crate) use manager::{Due, Manager, Moment, ProcessStep, Reaction, Reactions, Remedy};
pub(crate) use port::Port;
pub use port::{Cause, CommandContext, Handled, PortError};
pub(crate) use reactor::{Reactor, ReactorParts};
pub(crate) use sender::reaction_id;
