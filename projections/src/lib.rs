//! The read side and the reactions: what follows from the log, and what is asked of it.
//!
//! [`Projections`] runs one loop per view and per process manager: a batch after the checkpoint, rows
//! and checkpoint in one transaction. [`Queries`] answers from the views, [`Applied`] knows how far
//! they are. Process managers send through a [`CommandPort`]; nothing here knows who implements it.

#![deny(clippy::wildcard_enum_match_arm)]

mod alarm_saga;
mod alarms;
mod applied;
mod backoff;
mod census;
mod command_port;
mod courtesy;
mod decoded;
mod error;
mod feed;
mod fold_check;
mod follow;
mod holding;
mod item_info;
mod options;
mod overview;
mod payment_process;
mod payments;
mod process_manager;
mod projections;
mod projector;
mod queries;
mod reaction_check;
mod reactor;
mod refusal;
mod replay;
mod reservation_process;
mod reservations;
mod state;
mod status;
mod stuck;
mod subscription;
mod subscriptions;
mod told;
mod trace;
mod view;
mod view_table;
mod views;

#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod reaction_tests;

pub use alarms::{AlarmBody, AlarmRow, Alarms};
pub use applied::{Applied, Kind, Progress};
pub use census::{Failed, Trial, unreadable};
pub use command_port::{Cause, CommandPort, Errand, Handled, Intent, PortError};
pub use error::QueryError;
pub use feed::{Delivery, Feed};
pub use fold_check::{FoldCheck, Part};
pub use follow::{About, Follower};
pub use gdmarket_store::LogLimit;
pub use item_info::{Busy, Calendar, ItemBody, ItemInfo, ItemInfoBody, ItemRow};
pub use options::Options;
pub use overview::{LoopState, LoopStatus, overview, pause_view, resume_view};
pub use payments::{PaymentBody, PaymentRow, Payments};
pub use projections::Projections;
pub use queries::{
    Filter, Found, FoundAlarm, FoundItem, FoundItemInfo, FoundPayment, FoundReservation, Page,
    PageRequest, Queries, Stale,
};
pub use reaction_check::ReactionCheck;
pub use replay::{
    Difference, Explanation, Judge, Meter, Replay, ReplayError, Replayed, differences_from_rebuild,
};
pub use reservations::{ReservationBody, ReservationRow, Reservations};
pub use state::{AggregateKind, StateAt};
pub use status::{
    AlarmStatus, ItemStatus, PaymentProgress, PaymentStatus, RentalStatus, ReservationStatus,
};
pub use stuck::{Asked, GivenUp, Stuck, StuckDetail, StuckKey};
pub use subscriptions::{is_view, managers};
pub use told::ToldEvent;
pub use trace::{ReservationTrace, Trace, TracedEvent};
pub use view::{Filters, FoldError, View};
