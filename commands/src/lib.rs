//! The write side: executes the market's commands, and calls what lies outside on the way.
//!
//! Every command goes one way (`executor.rs`): load, decide, append with its receipt. What takes
//! several commands or an outside call (register, reserve, pay, settle, refund) is an operation, one
//! file per noun. A begun command runs to its end in its caller's task, or in one of its own once the
//! caller drops the call's future.

mod alarm_sender;
mod begun;
mod breaker;
mod clock;
mod command_id;
mod commands;
mod error;
mod executor;
mod meta;
mod numbered;
mod operations;
mod options;
mod panic;
mod payment_gateway;
mod payment_service;
mod retry;
mod turns;

pub use alarm_sender::{AlarmDown, AlarmSender};
pub use breaker::{
    Breaker, BreakerOptions, BreakerOptionsError, BreakerState, Open, Permit, ResilienceBreaker,
    Verdict,
};
pub use clock::{Clock, FixedClock, SystemClock};
pub use command_id::{
    GATEWAY_NAMESPACE, HTTP_NAMESPACE, PROCESS_NAMESPACE, STEP_NAMESPACE, http_command_id,
    step_command_id,
};
pub use commands::Commands;
pub use error::{CommandError, Service};
pub use meta::{CommandMeta, Executed, Precondition};
pub use numbered::NUMBERED;
pub use operations::{NewItem, NewReservation, PaymentAsked, Registered};
pub use options::{AlarmOptions, CommandOptions, PaymentOptions, RetryOptions};
pub use panic::told_by_panic;
pub use payment_gateway::{Charge, Confirmation, GatewayError, PaymentGateway};
pub use payment_service::{
    FoundOutcome, NotRecorded, OutcomeRecorded, PaymentAttempt, PaymentOutcome, Settled,
    record_found_outcome,
};
