//! The ids of the commands that a request executes, as the program derives them.

use gdmarket_commands::{KeyedRequest, http_command_id, step_command_id};
use gdmarket_domain::Actor;

/// The id of a step of a `POST` that a caller on this machine sends.
pub(crate) fn command_id(path: &str, key: &str, step: u32) -> String {
    let actor = &Actor::Operator("local".to_owned());
    let request = KeyedRequest { actor, method: "POST", route: path, key };
    step_command_id(http_command_id(&request), step).to_string()
}
