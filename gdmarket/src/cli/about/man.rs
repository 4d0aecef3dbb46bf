//! `gdmarket man`: the manual, generated from the definition of the command line.

use crate::cli::Cli;
use crate::output::result_writer::ResultWriter;
use crate::output::{Console, Exit, Failure};
use clap::builder::Resettable;
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  gdmarket man | man -l -                             read it
  gdmarket man events list | man -l -                 about a subcommand
  gdmarket man --folder /usr/local/share/man/man1     a page of each";

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
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    if let Some(folder) = &args.folder {
        let written = std::fs::create_dir_all(folder).and_then(|()| write(&command, folder));
        written.map_err(|error| {
            Failure::new(Exit::Failed, format!("{}: {error}", folder.display()))
                .next("name a folder you may write to with --folder")
        })?;
        console.note(&format!("The pages are in {}; begin with gdmarket.1.", folder.display()));
        return Ok(());
    }
    let subcommand = args.subcommand.iter().try_fold(&command, |command, name| {
        command.find_subcommand(name).ok_or_else(|| unknown(command, name))
    })?;
    let page = page(subcommand).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let mut out = ResultWriter::new(console);
    if console.is_json() {
        let name = subcommand.get_display_name().unwrap_or_else(|| subcommand.get_name());
        out.line(json!({"command": name, "manual": page}).to_string())?;
    } else {
        out.program_text(page.trim_end())?;
    }
    out.flush()
}

/// Writes the pages of a command and of its subcommands.
fn write(command: &Command, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), page(command)?)?;
    command.get_subcommands().try_for_each(|below| write(below, folder))
}

/// The page of a command; examples keep their lines.
fn page(command: &Command) -> io::Result<String> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut page = Vec::new();
    Man::new(command.clone().after_help(Resettable::Reset)).render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    if !examples.is_empty() {
        let examples = examples.strip_prefix("Examples:\n").unwrap_or(&examples);
        page.push_str(".SH EXAMPLES\n.nf\n");
        for line in examples.lines() {
            page.push_str(&verbatim(line));
            page.push('\n');
        }
        page.push_str(".fi\n");
    }
    Ok(page)
}

/// A line that roff prints as it is, without requests, escapes and hyphenation.
fn verbatim(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

fn unknown(command: &Command, name: &str) -> Failure {
    let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    Failure::new(Exit::Usage, format!("there is no subcommand {name}"))
        .next(format!("name one of: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_printed_verbatim() {
        assert_eq!(verbatim("  jq '.a' --raw \\n"), "  jq '.a' \\-\\-raw \\en");
        assert_eq!(verbatim(".TH"), "\\&.TH");
    }
}
