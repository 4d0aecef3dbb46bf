//! The announcement of one item, raised before the item is registered, so that none comes unseen.

mod command;
mod decide;
mod error;
mod event;
mod state;

pub use command::AlarmCommand;
pub use error::AlarmError;
pub use event::AlarmEvent;
pub use state::Alarm;

use crate::decider::aggregate;

aggregate! {
    Alarm {
        type: "alarm",
        command: AlarmCommand,
        event: AlarmEvent,
        error: AlarmError,
        number: item_no,
    }
}
