//! `gdmarket events verify`: proves that an exported file is complete and that this program can import it, without a
//! database.

use super::archive_failure;
use super::import::accept::{NameRule, accept};
use super::import::open;
use crate::cli::tools::run_until_shutdown;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Exit, Failure};
use clap::Args;
use gdmarket_projections::unreadable;
use gdmarket_store::{ArchiveError, ArchiveReader, CheckEntry, Verified, verify};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const EXAMPLES: &str = "\
Examples:
  gdmarket events verify market.ndjson.zst       after every export, and before the file is needed
  ssh backup cat market.ndjson | gdmarket events verify -

Every line is read, the counts and the hash chain of the manifest are compared, the events of every
stream must be in sequence, this program must be able to read each, and a caller must have been able
to send the names and actors to some version. Exit code 5 if not.";

/// How many unreadable events are described; the others are counted.
const MAX_DESCRIBED: usize = 20;

/// The arguments of `events verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct VerifyArgs {
    /// The file to read, compressed with zstd or not; `-` for stdin.
    file: PathBuf,
}

pub(super) fn run(args: &VerifyArgs, console: Console) -> Result<(), Failure> {
    let input = open(&args.file)?;
    run_until_shutdown(async {
        let old_names = Arc::new(AtomicU64::new(0));
        let check = counting_check(Arc::clone(&old_names));
        let archive = ArchiveReader::open_checked(input, check).await.map_err(damaged)?;
        let progress = ProgressLine::start(console, "reading events", archive.header().events);
        let (mut read, mut faults, mut count) = (0_u64, Vec::new(), 0_u64);
        let count_unreadable = |event: &_| {
            read += 1;
            progress.reached(read);
            let Some(why) = unreadable(event) else { return };
            count += 1;
            if faults.len() < MAX_DESCRIBED {
                faults.push(format!("event {} can't be read: {why}", event.position));
            }
        };
        let verified = verify(archive, count_unreadable).await.map_err(damaged)?;
        progress.finish();
        faults.extend(verified.gaps.iter().map(ToString::to_string));
        let report = ArchiveReport {
            place: args.file.display().to_string(),
            verified,
            faults,
            old_names: old_names.load(Ordering::Relaxed),
        };
        report.show(console);
        match count + report.verified.gap_count {
            0 => Ok(()),
            count => Err(Failure::new(Exit::Unreadable, format!("the archive has {count} faults"))
                .next("docs/runbook.md, \"An archive with gaps\"")),
        }
    })
}

/// The checks of an import; counts the entries with names that only earlier versions accepted.
fn counting_check(old_names: Arc<AtomicU64>) -> CheckEntry {
    Box::new(move |entry| {
        if accept(entry, NameRule::Today).is_err() {
            accept(entry, NameRule::EarlierVersions)?;
            old_names.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
}

/// The failure of a damaged file, which counts as a log that can't be read.
fn damaged(error: ArchiveError) -> Failure {
    let next = match error {
        ArchiveError::Line { .. } | ArchiveError::Contradiction(_) => {
            "take another copy of the file, or export it again"
        }
        ArchiveError::Entry { .. } => {
            "no import accepts it: another program wrote it; export again from a copy of the log without it, \
             or repair that log first"
        }
        _ => return archive_failure(error),
    };
    Failure { exit: Exit::Unreadable, ..archive_failure(error) }.next(next)
}

/// The result of reading a file to its end.
struct ArchiveReport {
    /// The file as the caller named it.
    place: String,
    verified: Verified,
    /// The unreadable events and the gaps.
    faults: Vec<String>,
    /// The number of lines with names that only earlier versions accepted.
    old_names: u64,
}

impl ArchiveReport {
    fn show(&self, console: Console) {
        let Self { place, verified: Verified { manifest, gap_count, .. }, faults, old_names } =
            self;
        if console.is_json() {
            let shown = json!({
                "file": place, "manifest": manifest, "gaps": gap_count, "faults": faults,
                "namesOfEarlierVersions": old_names,
            });
            Console::result_json(&shown);
            return;
        }
        for fault in faults {
            Console::result(fault);
        }
        console.note(&format!(
            "{place}: every line is as it was written; {} events up to position {}, {} receipts; \
         log {} in epoch {}.",
            manifest.events,
            manifest.last_position,
            manifest.receipts,
            manifest.log_id,
            manifest.epoch
        ));
        if *old_names > 0 {
            console.note(&format!(
                "{old_names} lines have names that only earlier versions accepted: import it with \
             --accept-names-of-earlier-versions."
            ));
        }
    }
}
