//! `gdmarket persons`: erases the data of persons, which is their names, kept outside the log.

use super::{local_operator, with_store};
use crate::compose::use_cases;
use crate::config::Config;
use crate::output::confirmation::confirm;
use crate::output::{Console, Exit, Failure};
use clap::{Args, Subcommand};
use gdmarket_app::{EraseError, Erased, Remains};
use gdmarket_domain::PersonId;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  gdmarket persons erase 7            erase the names of person 7, after a question
  gdmarket persons erase 7 --yes      without one, for scripts";

/// The arguments of `persons`.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct PersonsArgs {
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

pub(in crate::cli) fn run(
    args: PersonsArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    let PersonsCommand::Erase { no, yes } = args.command;
    if !yes {
        confirm(
            &format!("Erase the names of person {no}? They can't be brought back."),
            &format!("person {no} is to be forgotten"),
            format!("person {no} was not erased"),
        )?;
    }
    with_store(config, async |store| {
        let erased = use_cases(config, store)?.erase_person(no, &local_operator()).await;
        report(no, &erased.map_err(not_erased)?, console);
        Ok(())
    })
}

fn not_erased(error: EraseError) -> Failure {
    match error {
        EraseError::NotErased(error) => error.0.into(),
        EraseError::Actor(error) => Failure::new(Exit::Failed, error.to_string()),
    }
}

fn report(no: PersonId, erased: &Erased, console: Console) {
    let was_known = erased.names > 0;
    if console.is_json() {
        let outcome = if was_known { "erased" } else { "not-known" };
        let remains = erased.remains.iter().copied().map(remainder);
        let remains =
            remains.map(|of| json!({"where": of.place, "until": of.until, "next": of.next}));
        Console::result_json(&json!({
            "person": no.get(), "outcome": outcome, "names": erased.names,
            "remains": remains.collect::<Vec<_>>(),
        }));
        return;
    }
    if was_known {
        console.note(&format!("The names of person {no} are erased ({}).", erased.names));
    } else {
        console.note(&format!("No name of person {no} was known."));
    }
    for Remainder { place, until, next } in erased.remains.iter().copied().map(remainder) {
        console.note(&format!("It may still be in {place}, until {until}. {next}"));
    }
    console.note("Backups, and exports with --with-personal-data, from before still hold it.");
}

/// Where a name may remain, for people.
struct Remainder {
    place: &'static str,
    until: &'static str,
    next: &'static str,
}

const fn remainder(remains: Remains) -> Remainder {
    match remains {
        Remains::WriteAheadLog => Remainder {
            place: "log.db-wal",
            until: "its last reader has ended",
            next: "Type the same again later.",
        },
        Remains::TableFile => Remainder {
            place: "unused room of the table's file",
            until: "the table is written again, which keeps others waiting",
            next: "At a quiet time: VACUUM (SQLite), VACUUM FULL personal_names, personal_data (PostgreSQL).",
        },
        Remains::NotOwner => Remainder {
            place: "unused room of the table's file",
            until: "the owner of the tables has them written again",
            next: "As the owner: VACUUM FULL personal_names, personal_data.",
        },
        Remains::OldTransaction => Remainder {
            place: "the table's file",
            until: "transactions have ended that began before, or that use the table",
            next: "Type the same again later; pg_stat_activity shows them.",
        },
        Remains::ServerLog => Remainder {
            place: "PostgreSQL's write-ahead log and its archive",
            until: "their files are used again or removed",
            next: "As a superuser: SELECT pg_switch_wal(); CHECKPOINT. The archive has its own retention.",
        },
    }
}
