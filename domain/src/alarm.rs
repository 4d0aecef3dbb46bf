//! The announcement of one item, raised before the item is registered, so that none comes unseen.

mod aggregate;
mod command;
mod decide;
mod error;
mod event;
mod state;

pub use command::AlarmCommand;
pub use error::AlarmError;
pub use event::AlarmEvent;
pub use state::Alarm;
