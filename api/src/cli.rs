//! The command line: what can be asked, which settings its flags stand for, and with which exit code
//! each thing ends. Without a subcommand it serves.

mod at;
mod check;
mod completions;
mod config;
mod console;
mod demo;
mod events;
mod failure;
mod man;
mod migrate;
mod openapi;
mod out;
mod parked;
mod persons;
mod progress;
mod replay;
mod serve;
mod state;
mod told;
mod tool;
mod trace;
mod usage;
mod views;

pub use console::Console;
pub use failure::{Exit, Failure};

use crate::config::{Config, Flag, Loaded, Sources};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

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

/// Where help shows the flags that every subcommand takes.
const EVERYWHERE: &str = "With every command";

#[derive(Debug, Clone, Args)]
struct Common {
    /// Read settings from this file instead of ./gdmarket.toml.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep the SQLite files in this folder.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Keep everything in this PostgreSQL database.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "URL")]
    database_url: Option<String>,
    /// Answer in JSON, for programs.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Say nothing but results and errors.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    quiet: bool,
    /// Never use colours.
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "NO_COLOR", hide_env = true,
        value_parser = FalseyValueParser::new())]
    no_color: bool,
}

/// How to serve.
#[derive(Debug, Clone, Default, Args)]
struct ServeArgs {
    /// Listen on this address and port.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Listen beyond loopback although nobody logs in: whoever reaches the port may do anything.
    #[arg(long)]
    allow_open: bool,
    /// Leave the database's schema as it is; refuse to serve if it is too old.
    #[arg(long)]
    no_migrate: bool,
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
    #[command(after_help = check::EXAMPLES)]
    Check,
    /// Build views anew beside what is served; compare, serve, or look back.
    Replay(replay::ReplayArgs),
    /// How far views and process managers are; hold a view up.
    Views(views::ViewsArgs),
    /// What can't go on, and what is to become of it.
    Parked(parked::ParkedArgs),
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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return usage::told(&answer),
    };
    let console = Console::new(cli.common.json, cli.common.quiet, cli.common.no_color);
    match dispatch(cli, console) {
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
        Some(Command::Check) => check::run(&settings(&common, &serve)?.config, console),
        Some(Command::Replay(args)) => {
            replay::run(&args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Views(args)) => {
            views::run(&args, &settings(&common, &serve)?.config, console)
        }
        Some(Command::Parked(args)) => {
            parked::run(&args, &settings(&common, &serve)?.config, console)
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
        Some(Command::Completions(args)) => completions::run(args),
        Some(Command::Man(args)) => man::run(&args, console),
    }
}

impl ServeArgs {
    /// What is said behind `serve` goes before what is said in front of it.
    fn or(self, before: Self) -> Self {
        Self {
            listen: self.listen.or(before.listen),
            allow_open: self.allow_open || before.allow_open,
            no_migrate: self.no_migrate || before.no_migrate,
        }
    }
}

fn settings(common: &Common, serve: &ServeArgs) -> Result<Loaded, Failure> {
    let said = |flag, key, value: Option<String>| value.map(|value| Flag { flag, key, value });
    let flags = [
        said("--data-dir", "server.data_dir", common.data_dir.clone()),
        said("--database-url", "database.url", common.database_url.clone()),
        said("--listen", "server.listen", serve.listen.clone()),
        said("--allow-open", "server.allow_open", serve.allow_open.then(|| "true".to_owned())),
        said("--no-migrate", "server.migrate", serve.no_migrate.then(|| "false".to_owned())),
    ];
    let flags = flags.into_iter().flatten().collect();
    let sources = Sources { file: common.config.clone(), flags, surroundings: true };
    Config::load(&sources).map_err(|faults| Failure::new(Exit::Usage, faults.to_string()))
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
