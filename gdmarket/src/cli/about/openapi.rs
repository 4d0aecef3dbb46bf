//! `gdmarket openapi`: the OpenAPI document of the interface, without a server.

use crate::output::Console;
use gdmarket_api::openapi::document;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  gdmarket openapi > openapi.json
  gdmarket openapi | jq -r '.paths | keys[]'";

pub(in crate::cli) fn run() {
    Console::result_lines(document().trim_end());
}
