//! Tests of the write side through its public interface, in one binary that is linked once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper that can't do its work fails its test"
)]

mod breaker;
mod executor;
mod fakes;
mod idempotency;
mod market;
mod new_streams;
mod payment_numbers;
mod payments;
mod registration;
mod remote_alarms;
mod remote_payments;
mod service_link;
mod settling;
mod stale_caches;
