//! One thing that is rented out, and its calendar: the boundary within which two requests for the same
//! days are decided.
//!
//! Holds, rentals and the owner's blocks never overlap; each hold and rental names
//! its reservation, so that cancelling one can't free what another holds.

mod calendar;
mod command;
mod decide;
mod error;
mod event;
mod lending;
mod state;

pub use command::ItemCommand;
pub use error::ItemError;
pub use event::ItemEvent;
pub use state::{Booking, Item, Listing, MAX_BLOCKS};

use crate::decider::aggregate;

aggregate! {
    Item {
        type: "item",
        command: ItemCommand,
        event: ItemEvent,
        error: ItemError,
        number: item_no,
    }
}
