//! Services in processes of their own: what one process asks of another, on real processes and both engines.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod alarm_calls;
mod breaker_drill;
mod call_breaker;
mod call_rules;
mod calls;
mod chaos;
#[path = "../shared/command_ids.rs"]
mod command_ids;
mod copied_views;
mod crash_between_steps;
mod cutting_proxy;
mod dev;
mod divided_market;
mod faulty_stream;
mod four_services;
#[path = "../shared/half_done_sagas.rs"]
#[expect(dead_code, clippy::expect_used, reason = "tests of other programs use the rest")]
mod half_done_sagas;
mod interrupted_calls;
mod isolation;
mod log_consumer;
mod log_feed;
mod log_pages;
mod nats_cluster;
mod nats_market;
mod payment_calls;
mod position_tokens;
mod saga;
mod service_tokens;
mod shared_keys;
mod split_market;
mod traces;
mod verified_market;
