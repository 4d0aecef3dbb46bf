//! The read side and the reactions: views of the log, queries of the views, and process managers.
//!
//! [`Projections`] runs one loop per view and per process manager: it reads a batch after the checkpoint,
//! and writes rows and checkpoint in one transaction. [`Queries`] answers from the views, [`Applied`] holds
//! their progress. Process managers send through a [`CommandPort`].
//!
//! The rooms, from the lowest to the highest: `engine`, `views`, `processes`, `queries`, `inspect`,
//! `registry`.

#![deny(clippy::wildcard_enum_match_arm)]

mod engine;
mod inspect;
mod processes;
mod queries;
mod registry;
mod views;

pub use engine::feed::{Delivery, Feed, FeedError, Feeds, LogSource, ScanRange};
pub use engine::process_manager::cause_position as deadline_position;
pub use engine::process_manager::{Cause, CommandContext, Handled, PortError};
pub use engine::progress::{Applied, LoopKind, Progress};
pub use engine::rebuild::{
    Difference, Explanation, RebuildObserver, RebuildProgress, ReplayError, Replayed,
};
pub use engine::relay::{RelayError, RelayTarget};
pub use engine::view::{Column, FoldError, Join, View, is_view};
pub use gdmarket_store::{Identity, LogLimit, RecordedEvent};
pub use inspect::compatibility_check::{CompatibilityCheck, Failed, unreadable};
pub use inspect::event_view::{EventOrigin, EventView};
pub use inspect::fold_check::{FoldCheck, Part};
pub use inspect::follower::{About, Follower};
pub use inspect::log_page::{LogPage, LogPageFault, MAX_LOG_PAGE};
pub use inspect::loop_status::{LoopState, LoopStatus, pause_view, resume_view};
pub use inspect::parked::{DroppedEvent, ParkedKey, ParkedKeyDetail, ParkedWork, RetryOutcome};
pub use inspect::reaction_check::ReactionCheck;
pub use inspect::sagas::{
    AwaitedParty, FoundSaga, OpenSagas, ParkedReaction, SagaKey, SagaKeyError, SagaRow, SagaStep,
    Sagas, UnreadableEvents,
};
pub use inspect::state_at::{AggregateKind, StateAt};
pub use inspect::trace::{
    MissingPart, ReservationTrace, SearchRange, ServiceTraces, Trace, TraceQuery, TracedEvent,
    Traces,
};
pub use processes::command_port::{CommandPort, OutgoingCommand};
pub use processes::options::Options;
pub use queries::{
    Filter, Found, FoundAlarm, FoundItem, FoundItemInfo, FoundPayment, FoundReservation, NEWEST,
    Page, PageRequest, Queries, QueryError, Stale, StreamEvent,
};
pub use registry::{
    Projections, Replay, differences_from_rebuild, differences_with_feeds, managers, overview,
    readers,
};
pub use views::alarms::{AlarmBody, AlarmRow, Alarms};
pub use views::items::{Busy, Calendar, ItemBody, ItemInfo, ItemInfoBody, ItemRow, JoinedFields};
pub use views::payments::{PaymentBody, PaymentRow, Payments};
pub use views::reservations::{ReservationBody, ReservationRow, Reservations};
pub use views::status::{
    AlarmStatus, ItemStatus, PaymentProgress, PaymentStatus, RentalStatus, ReservationStatus,
};
