//! `gdmarket man`: the manual, made from the one definition of the command line.

use super::out::Out;
use super::{Cli, Console, Exit, Failure};
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use std::io;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  gdmarket man | man -l -                       read it
  gdmarket man events list | man -l -           about a subcommand
  gdmarket man --folder /usr/local/share/man/man1     a page of each";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// The subcommand that the page is about; without one, the program.
    #[arg(value_name = "SUBCOMMAND")]
    subcommand: Vec<String>,
    /// Write a page for the program and for each subcommand into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "subcommand")]
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, console: Console) -> Result<(), Failure> {
    let command = Cli::command().disable_help_subcommand(true);
    if let Some(folder) = &args.folder {
        return write_all(command, folder, console);
    }
    let mut command = command;
    command.build();
    let wanted = args.subcommand.iter().try_fold(&command, |command, name| {
        command.find_subcommand(name).ok_or_else(|| unknown(command, name))
    })?;
    let mut page = Vec::new();
    Man::new(wanted.clone()).render(&mut page).map_err(|error| failed(&error))?;
    let mut out = Out::new();
    out.line(String::from_utf8_lossy(&page).trim_end())?;
    out.flush()
}

fn write_all(command: Command, folder: &Path, console: Console) -> Result<(), Failure> {
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| {
        Failure::new(Exit::Failed, format!("{}: {error}", folder.display()))
            .next("name a folder you may write to with --folder")
    })?;
    console.note(&format!("The pages are in {}; begin with gdmarket.1.", folder.display()));
    Ok(())
}

fn unknown(command: &Command, name: &str) -> Failure {
    let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    Failure::new(Exit::Usage, format!("there is no subcommand {name}"))
        .next(format!("name one of: {}", known.join(", ")))
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the page can't be made: {error}"))
}
