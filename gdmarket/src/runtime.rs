//! The asynchronous runtime of the program.

use crate::output::{Exit, Failure};
use tokio::runtime::Runtime;

/// The runtime that everything runs on.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("no runtime: {error}")))
}
