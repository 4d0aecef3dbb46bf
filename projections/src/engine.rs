//! The machinery behind views and process managers: it reads the log, folds
//! events, reacts to them, stores and rebuilds rows. It names no view, process or refusal of the market.

pub(crate) mod backoff;
pub(crate) mod feed;
pub(crate) mod held_lease;
pub(crate) mod process_manager;
pub(crate) mod progress;
pub(crate) mod projector;
pub(crate) mod rebuild;
pub(crate) mod relay;
pub(crate) mod subscription;
pub(crate) mod throttle;
pub(crate) mod view;
pub(crate) mod view_table;

#[cfg(test)]
pub(crate) mod test_view;
