//! `gdmarket events verify`: proves that an exported file is whole and that this program can read and
//! import it, without a database.

use super::super::progress::Progress;
use super::super::tool::until_told_to_end;
use super::super::{Console, Exit, Failure};
use super::archive_failure;
use super::import::open;
use clap::Args;
use gdmarket_projections::unreadable;
use gdmarket_store::{ArchiveError, ArchiveReader, Verified, verify};
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  gdmarket events verify market.ndjson.zst       after every export, and before the file is needed
  ssh backup cat market.ndjson | gdmarket events verify -

Every line is read, the counts and the hash chain of the manifest are compared, the events of every
stream must follow each other, and this program must understand each. Exit code 5 if not.";

/// Events that can't be read which are described; the others are counted.
const DESCRIBED: usize = 20;

/// What to prove.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in super::super) struct VerifyArgs {
    /// The file to read, compressed with zstd or not; `-` for stdin.
    file: PathBuf,
}

pub(super) fn run(args: &VerifyArgs, console: Console) -> Result<(), Failure> {
    let place = args.file.display().to_string();
    let input = open(&args.file)
        .map_err(|error| Failure::new(Exit::Usage, format!("{place} can't be read: {error}")))?;
    until_told_to_end(async {
        let archive = ArchiveReader::open(input).await.map_err(damaged)?;
        let progress = Progress::start(console, "reading events", archive.header().events);
        let (mut read, mut faults, mut count) = (0_u64, Vec::new(), 0_u64);
        let look = |event: &_| {
            read += 1;
            progress.reached(read);
            let Some(why) = unreadable(event) else { return };
            count += 1;
            if faults.len() < DESCRIBED {
                faults.push(format!("event {} can't be read: {why}", event.position));
            }
        };
        let verified = verify(archive, look).await.map_err(damaged)?;
        progress.finish();
        faults.extend(verified.gaps.iter().map(ToString::to_string));
        show(&place, &verified, &faults, console);
        match count + verified.gap_count {
            0 => Ok(()),
            count => Err(Failure::new(Exit::Unreadable, format!("the archive has {count} faults"))
                .next("docs/runbook.md, \"An archive with gaps\"")),
        }
    })
}

/// A file that isn't what it should be is a log that can't be read.
fn damaged(error: ArchiveError) -> Failure {
    let is_file = matches!(error, ArchiveError::Line { .. } | ArchiveError::Contradiction(_));
    let failure = archive_failure(error);
    if !is_file {
        return failure;
    }
    Failure { exit: Exit::Unreadable, ..failure }
        .next("take another copy of the file, or export it again")
}

fn show(place: &str, verified: &Verified, faults: &[String], console: Console) {
    let Verified { manifest, gap_count, .. } = verified;
    if console.is_json() {
        let shown =
            json!({"file": place, "manifest": manifest, "gaps": gap_count, "faults": faults});
        Console::result_json(&shown);
        return;
    }
    for fault in faults {
        Console::result(fault);
    }
    console.note(&format!(
        "{place}: every line is as it was written; {} events up to position {}, {} receipts; \
         log {} in epoch {}.",
        manifest.events, manifest.last_position, manifest.receipts, manifest.log_id, manifest.epoch
    ));
}
