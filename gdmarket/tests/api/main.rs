//! The interface of the program: the real router over a real log, in process, and the program itself for
//! the command line.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of these tests may fail them"
)]
#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]

mod actors;
mod ambiguous_requests;
mod answer_details;
mod app;
mod blocked_loops;
mod bodies;
mod bounded_waits;
mod browser;
mod capabilities;
mod check_command;
mod collections;
mod command_line;
mod conditional_requests;
mod customer_names;
mod damaged_rows;
mod damaged_views;
mod database_roles;
mod default_start;
mod documented_answers;
mod erased_bytes;
mod event_stream;
#[path = "../shared/event_stream_client.rs"]
mod event_stream_client;
mod exposition;
mod frozen;
#[path = "../shared/half_done_sagas.rs"]
mod half_done_sagas;
mod idempotency_keys;
mod imported_names;
mod inspection_tools;
mod interface_documents;
mod invalid_input;
mod kept_databases;
mod lending_authorisation;
mod linear_cost;
mod log_lines;
mod manual;
mod operator_commands;
mod outdated_sequences;
mod payment_settlement;
mod person_erasure;
mod printed_output;
mod problems;
mod rare_refusals;
mod refunds;
mod refusals;
mod rental_scenario;
mod replay_command;
mod request_metrics;
mod request_pipeline;
mod sagas_command;
mod secrets;
mod service_roles;
mod skipped_reactions;
mod startup;
mod tools;
mod unreadable_events;
mod unreadable_first_event;
mod usage_errors;
