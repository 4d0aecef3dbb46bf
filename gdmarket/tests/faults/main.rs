//! Faults against the real program, from another process: races, kills, outages of the database, full disks,
//! damaged and replaced files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod archive;
#[path = "../shared/command_ids.rs"]
mod command_ids;
mod concurrent_renters;
mod connections;
mod crash_points;
mod damaged_files;
mod damaged_pages;
mod database_outage;
mod duplicate_requests;
mod durable_commits;
#[path = "../shared/event_stream_client.rs"]
mod event_stream_client;
mod failing_sync;
mod final_state;
mod full_disk;
mod full_disk_reads;
mod full_disk_under_load;
mod gateway;
mod gateway_ledger;
mod hostile_operator;
mod idle;
mod idle_transaction;
mod interrupted_replay;
mod kills;
mod load;
mod long_transactions;
mod lost_answers;
mod mismatched_files;
mod payment_provider;
mod promotion_rights;
mod provider_market;
mod races;
mod replaced_files;
mod restored_database;
mod retries_without_keys;
mod small_disk;
mod stored_state;
mod temporary_write_failures;
mod torn_files;
mod two_servers;
mod views;
