//! The `gdmarket` program: hands the command line to the library and ends with its exit code.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Rows and events are allocated by one thread and freed by another, which is slow with the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    gdmarket::cli::run()
}
