//! The write side, tested from outside: one binary, so that it is linked once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper that can't do its work fails its test"
)]

mod breaker;
mod executor;
mod fakes;
mod fighting;
mod idempotency;
mod market;
mod new_streams;
mod payments;
mod registration;
mod settling;
mod taken_numbers;
