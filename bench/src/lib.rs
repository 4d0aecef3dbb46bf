//! Benchmarks of GDmarket, run by `cargo bench -p gdmarket-bench`; the programs are in `benches/`.
//!
//! Each benchmark starts what it needs, measures its candidates in turn within one interleaved run, and
//! prints ratios, which mean more than the rates of one machine. This crate holds their shared code; it
//! uses neither the market nor its store.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

pub mod cell;
pub mod database;
pub mod pgbench;
pub mod program;
pub mod report;

/// The program's allocator; every candidate of GDmarket and of stock uses it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
