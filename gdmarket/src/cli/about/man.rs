//! `gdmarket man`: prints the manual pages, which `cargo xtask man` writes into `gdmarket/man`.

use crate::cli::definition;
use crate::output::result_writer::ResultWriter;
use crate::output::{Console, Exit, Failure};
use clap::{Args, Command};
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  gdmarket man | man -l -                             read it
  gdmarket man events list | man -l -                 about a subcommand
  gdmarket man --folder /usr/local/share/man/man1     a page of each";

/// Each page by its file name.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/man_pages.rs"));

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ManArgs {
    /// The subcommand that the page is about; without one, the program.
    #[arg(value_name = "SUBCOMMAND")]
    subcommand: Vec<String>,
    /// Write a page for the program and for each subcommand into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "subcommand")]
    folder: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: &ManArgs, console: Console) -> Result<(), Failure> {
    match &args.folder {
        Some(folder) => {
            write(folder).map_err(|error| {
                Failure::new(Exit::Failed, format!("{}: {error}", folder.display()))
                    .next("name a folder you may write to with --folder")
            })?;
            let folder = folder.display();
            console.note(&format!("The pages are in {folder}; begin with gdmarket.1."));
            Ok(())
        }
        None => print(&args.subcommand, console),
    }
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    PAGES.iter().try_for_each(|(file, page)| fs::write(folder.join(file), page))
}

fn print(subcommand: &[String], console: Console) -> Result<(), Failure> {
    let mut program = definition();
    program.build();
    let command = subcommand.iter().try_fold(&program, |command, name| {
        command.find_subcommand(name).ok_or_else(|| unknown(command, name))
    })?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let page = PAGES.iter().find(|(file, _)| file.strip_suffix(".1") == Some(name));
    let (_, page) = page.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("this program was built without a page of {name}"))
    })?;
    let mut out = ResultWriter::new(console);
    if console.is_json() {
        out.line(json!({"command": name, "manual": page}).to_string())?;
    } else {
        out.program_text(page.trim_end())?;
    }
    out.flush()
}

fn unknown(command: &Command, name: &str) -> Failure {
    let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    Failure::new(Exit::Usage, format!("there is no subcommand {name}"))
        .next(format!("name one of: {}", known.join(", ")))
}
