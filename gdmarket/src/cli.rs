//! The command line: what can be asked, and with which exit code each thing ends. Without a subcommand
//! it serves.

mod about;
mod core_dumps;
mod flags;
mod serve;
mod tools;
mod usage;

use crate::demo;
use crate::output::{Console, Failure};
use about::{completions, config, man, openapi};
use clap::{Parser, Subcommand};
use flags::{Common, ServeArgs, settings};
use std::process::ExitCode;
use tools::{check, events, migrate, parked, payments, persons, replay, state, trace, views};

const EXAMPLES: &str = "\
Examples:
  gdmarket                                    serve on http://127.0.0.1:8080
  gdmarket serve --listen 127.0.0.1:9000      serve on another port
  gdmarket --database-url postgres://…        keep everything in PostgreSQL
  gdmarket demo                               walk through a whole rental on a running server
  gdmarket config show                        every setting, its value, and where it comes from
  gdmarket events tail --follow               what happens, as it happens
  gdmarket state item 1                       an item as it is, from its events
  gdmarket trace reservation 7                all that led to a reservation and followed from it

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 port or database not reachable,
4 a view differs, 5 the log can't be read, 130 Ctrl-C.";

/// A rental market between neighbours, in one program.
#[derive(Debug, Parser)]
#[command(name = "gdmarket", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the market; brings the database's schema up to date first.
    #[command(after_help = serve::EXAMPLES)]
    Serve(ServeArgs),
    /// Bring the database's schema up to date and end.
    Migrate(migrate::MigrateArgs),
    /// Print the OpenAPI document.
    #[command(name = "openapi", after_help = openapi::EXAMPLES)]
    OpenApi,
    /// Walk through a whole rental on a running server, step by step.
    Demo(demo::DemoArgs),
    /// Read the log, write it to a file, fill an empty one.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Can this program read the stored log, and does the log hold together? Changes nothing.
    Check(check::CheckArgs),
    /// Build views anew beside what is served; compare, serve, or look back.
    Replay(replay::ReplayArgs),
    /// How far views and process managers are; hold a view up.
    Views(views::ViewsArgs),
    /// What can't go on, and what is to become of it.
    Parked(parked::ParkedArgs),
    /// Record what became of a payment that the gateway leaves open.
    Payments(payments::PaymentsArgs),
    /// What is known of people, outside the log.
    Persons(persons::PersonsArgs),
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show an aggregate as it is or was, with the events that made it.
    State(state::StateArgs),
    /// Show what somebody asked and all that followed, as a tree of causes.
    Trace(trace::TraceArgs),
    /// Print what a shell needs to complete this command line.
    Completions(completions::CompletionsArgs),
    /// Print the manual.
    Man(man::ManArgs),
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ConfigCommand {
    /// Every setting with its value and where it comes from; secrets are not shown.
    #[command(after_help = config::EXAMPLES)]
    Show,
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let undumped = core_dumps::forbid();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return usage::report(&answer),
    };
    let console = Console::new(cli.common.json, cli.common.quiet, cli.common.no_color);
    if let Err(error) = undumped {
        console.note(&format!("Core dumps can't be forbidden: {error}"));
    }
    cli.common.warn_of_password(console);
    match dispatch(cli, console).and_then(|()| Console::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console.fail(&failure);
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli, console: Console) -> Result<(), Failure> {
    let Cli { common, serve, command } = cli;
    match command {
        None => serve::run(&settings(&common, &serve)?.config, console),
        Some(Command::Serve(args)) => {
            serve::run(&settings(&common, &args.or(serve))?.config, console)
        }
        Some(Command::Migrate(args)) => {
            migrate::run(&settings(&common, &serve)?.config, args, console)
        }
        Some(Command::OpenApi) => {
            openapi::run();
            Ok(())
        }
        Some(Command::Demo(args)) => demo::run(&args, console),
        Some(Command::Events(command)) => {
            events::run(&settings(&common, &serve)?.config, &command, console)
        }
        Some(Command::Check(args)) => {
            check::run(&settings(&common, &serve)?.config, &args, console)
        }
        Some(Command::Replay(args)) => {
            replay::run(&args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Views(args)) => {
            views::run(&args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Parked(args)) => {
            parked::run(&args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Payments(args)) => {
            payments::run(args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Persons(args)) => {
            persons::run(args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Config(ConfigCommand::Show)) => {
            config::show(&settings(&common, &serve)?, console);
            Ok(())
        }
        Some(Command::State(args)) => {
            state::run(&args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Trace(args)) => {
            trace::run(&args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Completions(args)) => completions::run(args, console),
        Some(Command::Man(args)) => man::run(&args, console),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_subcommand_shows_examples() {
        fn without(command: &clap::Command, found: &mut Vec<String>) {
            for below in command.get_subcommands() {
                without(below, found);
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let is_group = command.has_subcommands() && command.get_name() != "gdmarket";
            if !is_group && !help.contains("Examples:\n  gdmarket") {
                found.push(command.get_name().to_owned());
            }
        }
        let mut found = vec![];
        without(&Cli::command(), &mut found);
        assert_eq!(found, [""; 0], "these have no examples");
    }

    /// The help is laid out by hand; a longer line would be broken where it reads worst.
    #[test]
    fn no_line_of_the_examples_is_too_long_for_the_help() {
        fn long(command: &clap::Command, found: &mut Vec<String>) {
            for below in command.get_subcommands() {
                long(below, found);
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let is_long = |line: &&str| line.chars().count() > 100;
            found.extend(help.lines().filter(is_long).map(str::to_owned));
        }
        let mut found = vec![];
        long(&Cli::command(), &mut found);
        assert_eq!(found, [""; 0], "these are too long");
    }

    #[test]
    fn without_a_subcommand_it_serves_with_the_same_flags() {
        let bare = Cli::try_parse_from(["gdmarket", "--listen", "127.0.0.1:1"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.listen.as_deref(), Some("127.0.0.1:1"));
        let after =
            Cli::try_parse_from(["gdmarket", "serve", "--json", "--data-dir", "x"]).unwrap();
        assert!(after.common.json);
        assert_eq!(after.common.data_dir.as_deref(), Some("x"));
    }
}
