//! The program `gdmarket`: command line, configuration, metrics, log lines, and [`compose`], which builds
//! a running market from the configuration.
//!
//! Tests and benchmarks use it as a library; the program calls [`cli::run`].

pub mod cli;
pub mod compose;
pub mod config;
mod demo;
mod dev;
pub mod metrics;
pub mod output;
mod printable;
mod runtime;
pub mod service_keys;
pub mod telemetry;
