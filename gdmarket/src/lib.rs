//! The program `gdmarket`: command line, configuration, metrics, log lines, and [`compose`], which builds
//! a running market from the configuration.
//!
//! It is a library for the tests and the benchmarks, and [`cli::run`] for the program itself.

pub mod cli;
pub mod compose;
pub mod config;
mod demo;
pub mod metrics;
pub mod output;
mod printable;
mod runtime;
pub mod telemetry;
