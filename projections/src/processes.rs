//! The process managers of the market: their tables of reactions, the meaning of refusals, and the port that
//! their steps are taken through.

pub(crate) mod alarm_saga;
pub(crate) mod command_port;
pub(crate) mod holding;
pub(crate) mod options;
pub(crate) mod payment_process;
pub(crate) mod refusals;
pub(crate) mod reservation_process;
pub(crate) mod step;

#[cfg(test)]
mod lifecycle;
