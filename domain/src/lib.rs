//! The rental market as pure functions: commands, events, and the decisions between them.
//!
//! An owner registers an [`Item`]; its [`Alarm`] is raised first. A renter reserves it: the
//! [`Reservation`] is *requested* until the item holds the days ([`ItemEvent::Held`]) or refuses
//! them ([`HoldEvent::Refused`]). Paying opens a [`Payment`] attempt; approved, the item may be lent,
//! and the item alone decides whether a cancellation or the handing over came first. After the return
//! everything is free again.
//!
//! Nothing here reads a clock, allocates a number, or makes a call: dates, numbers and outcomes come with
//! the command, so a decision may be repeated as often as a race demands. Every aggregate is a
//! [`Decider`]; a [`MarketEvent`] is an event of any of them, a [`MarketCommand`] a command to any.

#![deny(clippy::wildcard_enum_match_arm)]
#![deny(clippy::float_arithmetic)]

pub mod actor;
pub mod alarm;
pub mod decider;
mod event_names;
pub mod hold;
pub mod ids;
pub mod item;
mod market_command;
pub mod market_event;
pub mod money;
pub mod name;
pub mod payment;
pub mod rental_period;
pub mod reservation;
pub mod service;
pub mod upcast;

pub use actor::{Actor, ActorError};
pub use alarm::{Alarm, AlarmCommand, AlarmError, AlarmEvent};
pub use decider::{Decider, Decision, Refusal};
pub use event_names::{EventNames, event_names_of};
pub use hold::{Hold, HoldCommand, HoldError, HoldEvent};
pub use ids::{IdError, ItemNo, PaymentNo, PersonId, ReservationNo};
pub use item::{Item, ItemCommand, ItemError, ItemEvent};
pub use market_command::MarketCommand;
pub use market_event::{DecodeError, MarketEvent, StoredEvent, event_names};
pub use money::{Money, PriceError};
pub use name::{NameError, check_name_of_earlier_versions, checked_name};
pub use payment::{Payment, PaymentCommand, PaymentError, PaymentEvent};
pub use rental_period::{PeriodError, RentalPeriod, Span};
pub use reservation::{Reservation, ReservationCommand, ReservationError, ReservationEvent};
pub use service::{
    AggregateType, ManagerName, MarketPart, Service, Services, ServicesError, ViewName,
};
