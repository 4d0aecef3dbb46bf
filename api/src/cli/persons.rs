//! `gdmarket persons`: what is known of people, which is their names, beside the log.

use super::tool::with_store;
use super::{Console, Exit, Failure};
use crate::config::Config;
use clap::{Args, Subcommand};
use gdmarket_domain::PersonId;
use serde_json::json;
use std::io::{self, IsTerminal as _, Write as _};

const EXAMPLES: &str = "\
Examples:
  gdmarket persons erase 7            erase the names of person 7, after a question
  gdmarket persons erase 7 --yes      without one, for scripts";

/// What is wanted of what is known of people.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PersonsArgs {
    #[command(subcommand)]
    command: PersonsCommand,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum PersonsCommand {
    /// Erase a person's names from all their reservations; the log, which holds numbers only, stays as it is.
    #[command(after_help = EXAMPLES)]
    Erase {
        /// The person: the `customerId` of a renter, the `ownerId` of an owner.
        no: PersonId,
        /// Don't ask first.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(args: PersonsArgs, config: &Config, console: Console) -> Result<(), Failure> {
    let PersonsCommand::Erase { no, yes } = args.command;
    if !yes {
        ask(no)?;
    }
    with_store(config, async |store| {
        let was_known = store.personal_data().erase(no.get()).await?;
        say(no, was_known, console);
        Ok(())
    })
}

/// What is erased can't be brought back: somebody has to mean it.
fn ask(no: PersonId) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let what = format!("nobody is here to ask whether person {no} is to be forgotten");
        return Err(Failure::new(Exit::Usage, what).next("add --yes"));
    }
    drop(write!(
        io::stderr(),
        "Erase the names of person {no}? They can't be brought back. [y/N] "
    ));
    let mut answer = String::new();
    let heard = io::stdin().read_line(&mut answer);
    if heard.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("person {no} was not erased")))
}

fn say(no: PersonId, was_known: bool, console: Console) {
    if console.is_json() {
        let outcome = if was_known { "erased" } else { "not-known" };
        Console::result_json(&json!({"person": no.get(), "outcome": outcome}));
    } else if was_known {
        console.note(&format!("The names of person {no} are erased."));
    } else {
        console.note(&format!("No name of person {no} was known."));
    }
}
