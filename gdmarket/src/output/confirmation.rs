//! Asks before an action that can't be undone.

use crate::output::{Exit, Failure};
use std::io::{self, IsTerminal as _, Write as _};

/// Asks on the terminal. `what` names the action ("person 7 is to be forgotten"); `not_done` is the message after a
/// "no".
pub(crate) fn confirm(question: &str, what: &str, not_done: String) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let message = format!("there is no terminal to ask whether {what}");
        return Err(Failure::new(Exit::Usage, message).next("add --yes"));
    }
    drop(write!(io::stderr(), "{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, not_done))
}
