//! The command line: its subcommands, and their exit codes. Without a subcommand it serves.

mod about;
mod core_dumps;
mod flags;
mod serve;
mod tools;
mod usage;

use crate::demo;
use crate::dev;
use crate::output::{Console, Failure};
use about::{completions, config, man, openapi};
use clap::{CommandFactory as _, Parser, Subcommand};
use flags::{Common, ServeArgs, settings};
use std::process::ExitCode;
use tools::{
    check, events, migrate, parked, payments, persons, replay, sagas, state, trace, views,
};

const EXAMPLES: &str = "\
Examples:
  gdmarket                                    serve on http://127.0.0.1:8080
  gdmarket serve --listen 127.0.0.1:9000      serve on another port
  gdmarket --database-url postgres://…        keep everything in PostgreSQL
  gdmarket demo                               walk through a whole rental on a running server
  gdmarket dev                                run it as four services, with all that they use
  gdmarket config show                        every setting, its value and its source
  gdmarket events tail --follow               events, as they happen
  gdmarket state item 1                       an item as it is, folded from its events
  gdmarket trace reservation 7                all that led to a reservation and followed from it
  gdmarket sagas list                         what is open, and what it waits for

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
    /// Run the market as four services on this machine, with all that they use.
    Dev(dev::DevArgs),
    /// Read the log, write it to a file, fill an empty one.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Check that this program can read the stored log, and that the log is consistent. Changes nothing.
    Check(check::CheckArgs),
    /// Rebuild views alongside what is served: compare, serve, or show them as they were.
    Replay(replay::ReplayArgs),
    /// Show how far views and process managers are; pause a view.
    Views(views::ViewsArgs),
    /// Show what is parked; retry or drop it.
    Parked(parked::ParkedArgs),
    /// Show what is open, what it waits for, and what keeps it from continuing; retry it.
    Sagas(sagas::SagasArgs),
    /// Record the outcome of a payment that the gateway leaves open.
    Payments(payments::PaymentsArgs),
    /// Erase the data of persons, which is kept outside the log.
    Persons(persons::PersonsArgs),
    /// Show the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show an aggregate as it is or was, with its events.
    State(state::StateArgs),
    /// Show a request and all that followed from it, as a tree of causes.
    Trace(trace::TraceArgs),
    /// Print the completions of this command line for a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual.
    Man(man::ManArgs),
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ConfigCommand {
    /// Show every setting with its value and source, without secrets.
    #[command(after_help = config::EXAMPLES)]
    Show,
}

/// The definition of the command line, from which its manual and completions are made.
pub fn definition() -> clap::Command {
    Cli::command().disable_help_subcommand(true)
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let forbidden = core_dumps::forbid();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return usage::report(&answer),
    };
    let console = Console::new(cli.common.json, cli.common.quiet, cli.common.no_color);
    if let Err(error) = forbidden {
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
        Some(Command::Dev(args)) => dev::run(&args, console),
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
        Some(Command::Sagas(args)) => {
            sagas::run(&args, &settings(&common, &serve)?.config, console)
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

    #[test]
    fn command_line_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_of_every_subcommand_shows_examples() {
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

    /// The help is laid out by hand; a longer line would be wrapped.
    #[test]
    fn lines_of_examples_fit_the_help() {
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
    fn program_without_a_subcommand_serves_with_the_same_flags() {
        let bare = Cli::try_parse_from(["gdmarket", "--listen", "127.0.0.1:1"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.listen.as_deref(), Some("127.0.0.1:1"));
        let after =
            Cli::try_parse_from(["gdmarket", "serve", "--json", "--data-dir", "x"]).unwrap();
        assert!(after.common.json);
        assert_eq!(after.common.data_dir.as_deref(), Some("x"));
    }
}
