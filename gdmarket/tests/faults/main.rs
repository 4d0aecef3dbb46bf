//! Faults against the real program, from another process: races, kills, a database that goes away.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod archive;
mod books;
mod charges;
mod control;
mod crowds;
mod damaged_pages;
mod database_away;
mod dies_inside;
mod failing_sync;
#[path = "../shared/following.rs"]
mod following;
mod full_disk;
mod full_under_load;
mod hostile_operator;
mod kills;
mod ledger;
mod left_over;
mod load;
mod long_holds;
mod market;
mod promotion_rights;
mod races;
mod reads_while_full;
mod renters;
mod replaced_files;
mod replay_cut;
mod restored;
mod same_key;
mod seeded;
mod settled;
mod silent_writer;
mod small_disk;
mod synced;
mod torn;
mod trouble_that_ends;
mod two_servers;
mod views;
mod what_is_left;
