//! `gdmarket completions`: completions for a shell, generated from the definition of the command line.

use crate::cli::Cli;
use crate::output::result_writer::ResultWriter;
use crate::output::{Console, Failure};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  gdmarket completions bash > ~/.local/share/bash-completion/completions/gdmarket
  gdmarket completions zsh > \"${fpath[1]}/_gdmarket\"
  gdmarket completions fish > ~/.config/fish/completions/gdmarket.fish";

#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(in crate::cli) fn run(args: CompletionsArgs, console: Console) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gdmarket", &mut script);
    let mut out = ResultWriter::new(console);
    let script = String::from_utf8_lossy(&script);
    if console.is_json() {
        out.line(json!({"shell": args.shell.to_string(), "script": script}).to_string())?;
    } else {
        out.program_text(script.trim_end())?;
    }
    out.flush()
}
