//! `gdmarket events import`: fills an empty log from an exported file, on either engine, and so moves a market between
//! SQLite and PostgreSQL. An import is complete or changes nothing.

pub(super) mod accept;

use super::archive_failure;
use crate::cli::tools::run_until_shutdown;
use crate::compose::store_options;
use crate::config::Config;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Exit, Failure};
use accept::{NameRule, accept};
use clap::Args;
use gdmarket_commands::NUMBERED;
use gdmarket_domain::Services;
use gdmarket_projections::{is_view, managers};
use gdmarket_store::{ArchiveReader, ImportOptions, Imported, import};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  gdmarket events import market.ndjson.zst --database-url postgres://…
  gdmarket events import market.ndjson --data-dir ./other-data
  zcat old.ndjson.gz | gdmarket events import -
  gdmarket events import of-2026.ndjson --accept-names-of-earlier-versions

The log that is filled must be empty and served by no server; a missing schema is created.
Positions, times and receipts stay as they were, numbers continue after the highest, and no reaction
is repeated. The epoch is raised, so that a follower of the other log notices.
Names and actors that the interface would refuse are refused, with line, field and next step.";

/// The arguments of `events import`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ImportArgs {
    /// The file to read, compressed with zstd or not; `-` for stdin.
    file: PathBuf,
    /// Accept names that the interface refuses today and accepted in earlier versions: with invisible characters, or
    /// characters that change the direction of text. Control characters are still refused.
    #[arg(long)]
    accept_names_of_earlier_versions: bool,
}

impl ImportArgs {
    const fn name_rule(&self) -> NameRule {
        if self.accept_names_of_earlier_versions {
            NameRule::EarlierVersions
        } else {
            NameRule::Today
        }
    }
}

/// The first bytes of every zstd file.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub(super) fn run(config: &Config, args: &ImportArgs, console: Console) -> Result<(), Failure> {
    let place = args.file.display().to_string();
    let input = open(&args.file)?;
    let rule = args.name_rule();
    run_until_shutdown(async {
        let archive =
            ArchiveReader::open_checked(input, Box::new(move |entry| accept(entry, rule)));
        let archive = archive.await.map_err(archive_failure)?;
        let progress = ProgressLine::start(console, "importing events", archive.header().events);
        let managers = managers(Services::ALL);
        let settings =
            ImportOptions { numbered: &NUMBERED, acting: &managers, is_derived: is_view };
        let options = store_options(config, true);
        let reached = |events| progress.reached(events);
        let imported = import(&options, settings, archive, &reached).await;
        let imported = imported.map_err(archive_failure)?;
        progress.finish();
        report(&imported, &place, console);
        Ok(())
    })
}

/// Opens the file to read.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    decompressed(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} can't be read: {error}", path.display()))
            .next("name a file that `gdmarket events export` has written, or - for stdin")
    })
}

/// Decompresses a file that begins as a zstd file, whatever its name.
fn decompressed(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let mut file: Box<dyn Read + Send> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut start = Vec::with_capacity(ZSTD_MAGIC.len());
    file.by_ref().take(4).read_to_end(&mut start)?;
    let compressed = start == ZSTD_MAGIC;
    let whole = BufReader::new(io::Cursor::new(start).chain(file));
    Ok(if compressed { Box::new(zstd::Decoder::with_buffer(whole)?) } else { Box::new(whole) })
}

fn report(imported: &Imported, place: &str, console: Console) {
    let Imported { identity, manifest } = imported;
    if console.is_json() {
        let result = json!({"file": place, "epoch": identity.epoch, "manifest": manifest});
        Console::result_json(&result);
        return;
    }
    console.note(&format!(
        "{} events up to position {}, {} receipts; log {} is now in epoch {}.",
        manifest.events, manifest.last_position, manifest.receipts, identity.log_id, identity.epoch
    ));
    console.note("The views are rebuilt when it is served.");
}
