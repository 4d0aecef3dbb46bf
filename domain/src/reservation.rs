//! One renter's reservation of one item, from the request to the return.
//!
//! While a payment attempt is open nothing else happens to it; once paid, the item decides whether a
//! cancellation still comes in time; facts are recorded, never refused.

mod command;
mod decide;
mod error;
mod event;
mod facts;
mod payments;
mod stage;
mod state;

pub use command::ReservationCommand;
pub use error::ReservationError;
pub use event::ReservationEvent;
pub use payments::PAY_AGAIN_WITHIN;
pub use stage::{Cancelling, ReservationStage};
pub use state::{PayTimes, RequestedReservation, Reservation, Terms};

use crate::decider::aggregate;

aggregate! {
    Reservation {
        type: "reservation",
        command: ReservationCommand,
        event: ReservationEvent,
        error: ReservationError,
        number: reservation_no,
    }
}
