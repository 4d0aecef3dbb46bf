//! `gdmarket openapi`: the interface as a document, without any server.

use super::Console;
use gdmarket_api::openapi::document;

pub(super) const EXAMPLES: &str = "\
Examples:
  gdmarket openapi > openapi.json
  gdmarket openapi | jq -r '.paths | keys[]'";

pub(super) fn run() {
    Console::result_lines(document().trim_end());
}
