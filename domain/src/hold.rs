//! A refused hold, in a stream of its own per reservation: strangers must not grow an item's stream
//! by asking for what is taken.
//!
//! It shares its command id with `ItemHeld`, so that a request has one
//! of the two for ever.

mod command;
mod decide;
mod error;
mod event;
mod state;

pub use command::HoldCommand;
pub use error::HoldError;
pub use event::HoldEvent;
pub use state::Hold;

use crate::decider::aggregate;

aggregate! {
    Hold {
        type: "hold",
        command: HoldCommand,
        event: HoldEvent,
        error: HoldError,
        number: reservation_no,
    }
}
