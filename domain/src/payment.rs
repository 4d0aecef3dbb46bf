//! One attempt to pay one reservation. Calling the gateway is the commands' business; here stands
//! what is known of the outcome: approved, declined, or unknown.

mod aggregate;
mod command;
mod decide;
mod error;
mod event;
mod state;

pub use command::PaymentCommand;
pub use error::PaymentError;
pub use event::PaymentEvent;
pub use state::{Attempt, Payment, Progress};
