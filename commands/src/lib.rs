//! The write side: executes the market's commands, and calls what lies outside on the way.
//!
//! Every command goes one way (`executor`): load, decide, append with its receipt. `operations` has one
//! typed method for each, and what takes several commands or a call of `outside` (register, reserve,
//! pay, settle, refund). A started command runs to completion in its caller's task, or in one of its own
//! once the caller drops the call's future.

mod clock;
mod command_id;
mod detach_on_drop;
mod error;
mod executor;
mod keyed_mutex;
mod operations;
mod options;
mod outside;
mod panic;

pub use clock::{Clock, FixedClock, SystemClock};
pub use command_id::{
    GATEWAY_NAMESPACE, HTTP_NAMESPACE, KeyedRequest, PROCESS_NAMESPACE, STEP_NAMESPACE,
    http_command_id, step_command_id,
};
pub use error::{CommandError, Dependency};
pub use executor::{Causation, CommandMeta, Executed, Precondition, RetryOptions};
pub use operations::{
    Commands, Erased, FindingDecision, FoundOutcome, Lending, NUMBERED, NewItem, NewReservation,
    NotErased, PAYMENT_UNAVAILABLE, PaymentAttempt, PaymentFinding, PaymentOutcome, RegisteredItem,
    Remains, RequestedPayment, Settled, separate_payment_numbers,
};
pub use options::{AlarmOptions, CommandOptions, OtherServices, PaymentOptions};
pub use outside::{
    AlarmAnswer, AlarmDown, AlarmSender, AttemptAnswer, AttemptContent, AttemptRequest,
    BreakerOptions, BreakerOptionsError, BreakerState, BreakerStatus, CallContext,
    CallContextError, CallOutcome, Charge, CircuitBreaker, Confirmation, GatewayError, Open,
    PaymentGateway, Permit, RaiseRequest, RemoteAlarmService, RemotePaymentService,
    ServiceCallError,
};
pub use panic::panic_message;
