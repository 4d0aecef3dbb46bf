//! Benchmarks of GDmarket, run by `cargo bench -p gdmarket-bench`; the programs are in `benches/`.
//!
//! Each starts what it needs, measures its candidates in turn within one interleaved run, and
//! prints ratios: figures of one machine mean little, ratios of one run much more. Here is what they
//! share; it knows neither the market nor its store.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

pub mod cell;
pub mod database;
pub mod pgbench;
pub mod program;
pub mod report;

/// As in the program; every candidate of ours and of stock has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
