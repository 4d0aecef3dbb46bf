//! The parties outside of the market: the traits of the payment gateway and of the alarm, and the circuit
//! breaker in front of each.

mod alarm_sender;
mod breaker;
mod payment_gateway;

pub use alarm_sender::{AlarmDown, AlarmSender};
pub use breaker::{
    BreakerOptions, BreakerOptionsError, BreakerState, CallOutcome, CircuitBreaker, Open, Permit,
};
pub use payment_gateway::{Charge, Confirmation, GatewayError, PaymentGateway};
