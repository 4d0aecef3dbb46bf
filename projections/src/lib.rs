//! The read side and the reactions: what follows from the log, and what is asked of it.
//!
//! [`Projections`] runs one loop per view and per process manager: a batch after the checkpoint, rows
//! and checkpoint in one transaction. [`Queries`] answers from the views, [`Applied`] knows how far
//! they are. Process managers send through a [`CommandPort`]; nothing here knows who implements it.

//!
//! Still to come, with these faces: `Projections::start(store: Store, port: Arc<dyn CommandPort>,
//! options: Options) -> Projections` with `queries() -> Queries`, `applied() -> Applied`,
//! `status() -> Vec<Status>`, `async stop(&self)`; `Applied` (clone) with
//! `async wait_managers(position: i64, until: tokio::time::Instant) -> bool`, `wait_views` likewise, and
//! `async wait_reactions(position, depth: u32, until) -> Option<i64>`: waits `depth` rounds of managers
//! (each to the head of the log that the round before led to) and gives the position that views are
//! then to be waited for; reserve has depth 2, paying 2, a cancellation of something paid 3.

#![deny(clippy::wildcard_enum_match_arm)]

mod alarms;
mod command_port;
mod error;
mod item_info;
mod options;
mod payments;
mod queries;
mod reservations;
mod status;
mod view;

pub use alarms::{AlarmBody, AlarmRow, Alarms};
pub use command_port::{Cause, CommandPort, Errand, Handled, Intent, PortError};
pub use error::QueryError;
pub use item_info::{Calendar, ItemBody, ItemInfo, ItemInfoBody, ItemRow};
pub use options::Options;
pub use payments::{PaymentBody, PaymentRow, Payments};
pub use queries::{
    Filter, Found, FoundAlarm, FoundItem, FoundItemInfo, FoundPayment, FoundReservation, Page,
    PageRequest, Queries, Stale,
};
pub use reservations::{ReservationBody, ReservationRow, Reservations};
pub use status::{
    AlarmStatus, ItemStatus, PaymentProgress, PaymentStatus, RentalStatus, ReservationStatus,
};
pub use view::{Filters, FoldError, View};
