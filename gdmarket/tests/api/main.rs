//! The interface as callers meet it: the real router over a real log, in process; the program itself
//! where the command line is the matter.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of these tests may fail them"
)]
#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]

mod actors;
mod ambiguous_requests;
mod app;
mod bare_start;
mod blocked_loops;
mod bodies;
mod browser;
mod checking;
mod collections;
mod command_line;
mod conditions;
mod counting;
mod damaged_rows;
mod damaged_views;
mod database_roles;
mod documented;
mod documents;
mod erasure;
mod event_stream;
mod exposition;
#[path = "../shared/following.rs"]
mod following;
mod found_outcomes;
mod frozen;
mod guarding;
mod handing_over;
mod hostile;
mod imported_names;
mod kept_databases;
mod keys;
mod linear;
mod log_lines;
mod looking_inside;
mod main_job;
mod manual;
mod names;
mod numbers_behind;
mod operating;
mod persons;
mod poison;
mod poisoned_first;
mod printing;
mod problems;
mod rare_refusals;
mod refunds;
mod refusals;
mod replaying;
mod right_answers;
mod secrets;
mod skipped_reactions;
mod starting;
mod tools;
mod waiting;
mod wrong_use;
