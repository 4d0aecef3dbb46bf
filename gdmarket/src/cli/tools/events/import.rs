//! `gdmarket events import`: fills an empty log from an exported file, on either engine, and so moves a market between
//! SQLite and PostgreSQL. An import is complete or changes nothing.

pub(super) mod accept;
mod division;

use super::archive_failure;
use crate::cli::tools::run_until_shutdown;
use crate::compose::store_options;
use crate::config::Config;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Exit, Failure};
use accept::{NameRule, accept};
use clap::Args;
use division::division;
use gdmarket_commands::NUMBERED;
use gdmarket_domain::Services;
use gdmarket_projections::{is_view, managers};
use gdmarket_store::{ArchiveReader, Identity, ImportOptions, Imported, import};
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
  gdmarket events import market.ndjson --service item --database-url postgres://…/item
  gdmarket events import market.ndjson --service item,alarm --other reservation,payment

The log that is filled must be empty and served by no server; a missing schema is created.
Positions, times and receipts stay as they were, numbers continue after the highest, and no reaction
is repeated. The epoch is raised, so that a follower of the other log notices.
Names and actors that the interface would refuse are refused, with line, field and next step.

A market of one process becomes one of several: stop it, export it, and import the same file once
for each process with --service. Each takes the streams of its services; rentals that are half done
continue where they were. --other names services that have another process in common.";

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
    /// Take only the part of these services, which will have a process and a log of their own: item, reservation,
    /// payment, alarm.
    #[arg(long, value_name = "SERVICES")]
    service: Option<Services>,
    /// Services that have another process in common; may be given several times. A service that isn't named has a
    /// process of its own.
    #[arg(long, value_name = "SERVICES", requires = "service")]
    other: Vec<Services>,
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
    let input = open(&args.file)?;
    let rule = args.name_rule();
    run_until_shutdown(async {
        let archive =
            ArchiveReader::open_checked(input, Box::new(move |entry| accept(entry, rule)));
        let archive = archive.await.map_err(archive_failure)?;
        let progress = ProgressLine::start(console, "importing events", archive.header().events);
        let division = args.service.map(|own| division(archive.header().log_id, own, &args.other));
        let division = division.transpose()?;
        let managers = managers(args.service.unwrap_or(Services::ALL));
        let settings = ImportOptions {
            numbered: &NUMBERED,
            acting: &managers,
            is_derived: is_view,
            division: division.as_ref(),
        };
        let options = store_options(config, true);
        let reached = |events| progress.reached(events);
        let imported = import(&options, settings, archive, &reached).await;
        let imported = imported.map_err(archive_failure)?;
        progress.finish();
        report(&imported, args, console);
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

fn report(imported: &Imported, args: &ImportArgs, console: Console) {
    let Imported { identity, manifest } = imported;
    if console.is_json() {
        let services = args.service.unwrap_or(Services::ALL).to_string();
        let Identity { epoch, log_id } = identity;
        let result = json!({
            "file": args.file, "epoch": epoch, "manifest": manifest, "services": services, "logId": log_id,
        });
        Console::result_json(&result);
        return;
    }
    console.note(&format!(
        "{} events up to position {}, {} receipts; log {} is now in epoch {}.",
        manifest.events, manifest.last_position, manifest.receipts, identity.log_id, identity.epoch
    ));
    if let Some(services) = args.service {
        console.note(&format!("Of these, the log has the part of the services: {services}."));
    }
    console.note("The views are rebuilt when it is served.");
}
