//! `gdmarket openapi`: the interface as a document, without any server.

use super::{Console, Failure};
use crate::openapi::document;

pub(super) fn run(console: Console) -> Result<(), Failure> {
    console.result(document().trim_end());
    Ok(())
}
