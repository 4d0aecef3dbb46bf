//! HTTP, configuration, and the `gdmarket` program.
//!
//! A request goes through the passage of [`server`], is read strictly, and goes to the one or the other
//! half: what writes knows no query, what reads knows no command. [`wiring`] is the one place that sees
//! both.

mod answers;
pub mod cli;
mod command_router;
pub mod config;
pub mod docs;
mod extract;
mod health;
pub mod openapi;
mod printable;
pub mod problem;
mod query_router;
mod representation;
mod resource;
pub mod server;
mod story;
pub mod telemetry;
mod token;
pub mod wiring;
