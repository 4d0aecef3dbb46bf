//! The parties that a command calls: the traits of the payment gateway, of the alarm and of services in other
//! processes, and the circuit breaker in front of each.

mod alarm_sender;
mod breaker;
mod call_context;
mod other_services;
mod payment_gateway;
mod service_messages;

pub use alarm_sender::{AlarmDown, AlarmSender};
pub use breaker::{
    BreakerOptions, BreakerOptionsError, BreakerState, BreakerStatus, CallOutcome, CircuitBreaker,
    Open, Permit,
};
pub use call_context::{CallContext, CallContextError};
pub use other_services::{RemoteAlarmService, RemotePaymentService, ServiceCallError};
pub use payment_gateway::{Charge, Confirmation, GatewayError, PaymentGateway};
pub use service_messages::{
    AlarmAnswer, AttemptAnswer, AttemptContent, AttemptRequest, RaiseRequest,
};
