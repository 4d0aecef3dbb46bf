//! A wrong use, told as every other failure is: in words for people, as JSON for whoever asked for JSON.

use crate::config::masked;
use crate::output::console::complain;
use crate::output::{Console, Exit, Failure};
use crate::printable;
use clap::error::ErrorKind;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::process::ExitCode;

/// `--help` and `--version` are answers, anything else is a wrong use.
pub(super) fn report(answer: &clap::Error) -> ExitCode {
    if !answer.use_stderr() {
        // A reader that went away has no use for the rest.
        drop(answer.print());
        return ExitCode::SUCCESS;
    }
    if is_json(std::env::args_os().skip(1)) {
        Console::new(true, false, true).fail(&failure(answer));
    } else {
        print(answer);
    }
    Exit::Usage.into()
}

/// The words of the parser, with colours unless they quote what has to be masked or escaped.
fn print(answer: &clap::Error) {
    let text = answer.render().to_string();
    match masked(&text) {
        Cow::Borrowed(text) if matches!(printable::lines(text), Cow::Borrowed(_)) => {
            drop(answer.print());
        }
        Cow::Borrowed(text) => complain(text.trim_end()),
        Cow::Owned(text) => complain(text.trim_end()),
    }
}

/// Whether JSON is asked for on a command line that can't be read: as a flag, so not behind `--`.
fn is_json(arguments: impl Iterator<Item = impl AsRef<OsStr>>) -> bool {
    let mut flags = arguments.take_while(|word| word.as_ref() != "--");
    flags.any(|word| word.as_ref() == "--json")
}

/// What is wrong stands in the first paragraph, what to do in those behind it.
fn failure(answer: &clap::Error) -> Failure {
    let text = answer.render().to_string();
    let text = masked(text.trim());
    let text = text.as_ref();
    if answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
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
    fn json_is_asked_for_by_a_flag_only() {
        for (line, is_asked) in [
            ("events list --json --nope", true),
            ("--json", true),
            ("events list --nope", false),
            ("man -- --json", false),
        ] {
            assert_eq!(is_json(line.split(' ')), is_asked, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_stands_before_what_to_do() {
        for (line, wrong, next) in [
            ("gdmarket --nope", "unexpected argument '--nope' found", "Usage: gdmarket"),
            ("gdmarket state", "required arguments were not provided:\n<", "Usage: gdmarket state"),
            ("gdmarket events", "something is missing", "Usage: gdmarket events"),
        ] {
            let told = failure(&Cli::try_parse_from(line.split(' ')).unwrap_err());
            assert!(told.message.contains(wrong), "{line}: {told:?}");
            assert!(
                told.next.as_deref().is_some_and(|next_| next_.contains(next)),
                "{line}: {told:?}"
            );
        }
    }
}
