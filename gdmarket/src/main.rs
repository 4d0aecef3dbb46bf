//! The `gdmarket` program: hands the command line to the library and ends with its exit code.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Rows and events are made by one thread and dropped by another, which the system's allocator is slow
/// at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    gdmarket::cli::run()
}
