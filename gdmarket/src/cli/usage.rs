//! Reports wrong usage like every other failure: as text, or as JSON with `--json`.

use crate::config::masked;
use crate::output::console::write_error_line;
use crate::output::{Console, Exit, Failure};
use crate::printable;
use clap::error::ErrorKind;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::process::ExitCode;

/// Prints what the parser returned: `--help` and `--version` are answers, anything else is wrong usage.
pub(super) fn report(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that closed the pipe is no failure.
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    if is_json(std::env::args_os().skip(1)) {
        Console::new(true, false, true).fail(&failure(error));
    } else {
        print(error);
    }
    Exit::Usage.into()
}

/// Prints the message of the parser, with colours unless it quotes something that has to be masked or escaped.
fn print(error: &clap::Error) {
    let text = error.render().to_string();
    match masked(&text) {
        Cow::Borrowed(text) if matches!(printable::lines(text), Cow::Borrowed(_)) => {
            drop(error.print());
        }
        Cow::Borrowed(text) => write_error_line(text.trim_end()),
        Cow::Owned(text) => write_error_line(text.trim_end()),
    }
}

/// Whether a command line that can't be parsed has the flag `--json`, which is before any `--`.
fn is_json(arguments: impl Iterator<Item = impl AsRef<OsStr>>) -> bool {
    let mut flags = arguments.take_while(|word| word.as_ref() != "--");
    flags.any(|word| word.as_ref() == "--json")
}

/// The failure: its message is the first paragraph, the next step the other ones.
fn failure(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let text = masked(text.trim());
    let text = text.as_ref();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::new(Exit::Usage, "something is missing on the command line").next(text);
    }
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (what, next) = text.split_once("\n\n").unwrap_or((text, ""));
    let what: Vec<&str> = what.lines().map(str::trim).collect();
    let failure = Failure::new(Exit::Usage, what.join("\n"));
    if next.is_empty() { failure } else { failure.next(next.trim()) }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::Parser as _;

    #[test]
    fn json_is_requested_by_a_flag_only() {
        for (line, is_requested) in [
            ("events list --json --nope", true),
            ("--json", true),
            ("events list --nope", false),
            ("man -- --json", false),
        ] {
            assert_eq!(is_json(line.split(' ')), is_requested, "{line}");
        }
    }

    #[test]
    fn message_precedes_the_next_step() {
        for (line, wrong, next) in [
            ("gdmarket --nope", "unexpected argument '--nope' found", "Usage: gdmarket"),
            ("gdmarket state", "required arguments were not provided:\n<", "Usage: gdmarket state"),
            ("gdmarket events", "something is missing", "Usage: gdmarket events"),
        ] {
            let failure = failure(&Cli::try_parse_from(line.split(' ')).unwrap_err());
            assert!(failure.message.contains(wrong), "{line}: {failure:?}");
            assert!(
                failure.next.as_deref().is_some_and(|next_| next_.contains(next)),
                "{line}: {failure:?}"
            );
        }
    }
}
