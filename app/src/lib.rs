//! The use cases of the market: the requests of persons and processes, each in as many steps as it takes.
//!
//! [`UseCases`] has one function per use case (register, reserve, cancel, pay, lend, return, settle, erase, …). Each
//! sends commands, waits within a bound for the decisions of other aggregates and for the views that show the
//! result, and ends in a [`WriteOutcome`]. HTTP handlers, pages and process managers call these functions and add
//! nothing to them.

#![deny(clippy::wildcard_enum_match_arm)]

mod availability;
mod awaited_outcome;
mod context;
mod error;
mod items;
mod outcome;
mod payments;
mod permissions;
mod persons;
mod process_commands;
mod reservations;
mod service_calls;
mod use_cases;
mod waiting;

pub use availability::{
    Availability, BreakerCondition, CommandOutlook, Hindrance, HindranceCause, MarketCondition,
    ServiceCondition, ServiceConditions,
};
pub use context::{IncomingRequest, RequestKey, WaitPolicy, WriteContext};
pub use error::UseCaseError;
pub use gdmarket_commands::{
    AlarmAnswer, AttemptAnswer, AttemptContent, AttemptRequest, BreakerState, BreakerStatus,
    CallContext, CallContextError, CommandError, CommandMeta, Dependency, Erased, FindingDecision,
    FoundOutcome, NewItem, PaymentAttempt, PaymentFinding, Precondition, RaiseRequest, Remains,
    panic_message,
};
pub use gdmarket_projections::{FoundItem, FoundReservation};
pub use items::ItemChange;
pub use outcome::{WriteDecision, WriteOutcome};
pub use permissions::{
    ItemAction, Permission, ReservationAction, Viewer, item_permissions, reservation_permissions,
};
pub use persons::EraseError;
pub use process_commands::ProcessCommands;
pub use reservations::{ReservationRequest, renter_of};
pub use use_cases::{UseCaseOptions, UseCases};
