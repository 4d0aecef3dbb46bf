//! `gdmarket openapi`: the interface as a document, without any server.

use super::Console;
use crate::openapi::document;

pub(super) fn run() {
    Console::result(document().trim_end());
}
