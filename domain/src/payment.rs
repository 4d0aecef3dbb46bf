//! One attempt to pay one reservation. Calling the gateway is the commands' business; the payment
//! records what is known of the outcome: approved, declined, or unknown.

mod command;
mod decide;
mod error;
mod event;
mod state;

/// The reason of a decline that only means: the gateway doesn't know the attempt, and may yet.
pub const NOT_FOUND: &str = "not-found";

pub use command::PaymentCommand;
pub use error::PaymentError;
pub use event::PaymentEvent;
pub use state::{AttemptProgress, Payment, StartedPayment};

use crate::decider::aggregate;

aggregate! {
    Payment {
        type: "payment",
        command: PaymentCommand,
        event: PaymentEvent,
        error: PaymentError,
        number: payment_no,
    }
}
