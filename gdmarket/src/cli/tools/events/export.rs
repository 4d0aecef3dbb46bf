//! `gdmarket events export`: writes one snapshot of the log to a file, or to stdout. A file gets its name once it is
//! complete, so an interrupted export leaves no file of that name.

mod output;

use super::archive_failure;
use crate::cli::tools::with_readable_store;
use crate::config::Config;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Exit, Failure};
use clap::Args;
use gdmarket_projections::is_view;
use gdmarket_store::{Export, ExportOptions, Manifest, Store};
use output::Output;
use serde_json::json;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  gdmarket events export market.ndjson                    everything but names of persons
  gdmarket events export market.ndjson.zst --with-personal-data
  gdmarket events export - | jq -c 'select(.event)'       events to a program

Lines of JSON: a header, events, receipts, numbers, deadlines, checkpoints and what is parked, a
manifest with counts and a hash chain. The server may continue to serve meanwhile.";

/// The arguments of `events export`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ExportArgs {
    /// The file to write; `-` for stdout.
    file: PathBuf,
    /// Compress with zstd; implied by a name that ends in .zst.
    #[arg(long)]
    zstd: bool,
    /// Write the names of persons too. Keep such a file as safe as the database.
    #[arg(long)]
    with_personal_data: bool,
    /// Overwrite the file if it exists.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(config: &Config, args: &ExportArgs, console: Console) -> Result<(), Failure> {
    let to_stdout = args.file == Path::new("-");
    if !to_stdout && !args.force && args.file.exists() {
        let there = format!("{} is there already", args.file.display());
        return Err(Failure::new(Exit::Usage, there)
            .next("choose another name, or add --force to overwrite it"));
    }
    let compressed = args.zstd || args.file.extension().is_some_and(|ending| ending == "zst");
    with_readable_store(config, console, async |store| {
        let output = if to_stdout {
            Output::stdout(compressed)
        } else {
            Output::file(&args.file, compressed)?
        };
        let (manifest, gaps) = write(&store, args, output, console).await?;
        if !to_stdout {
            report(&manifest, args, console);
        }
        gaps.map_or(Ok(()), Err)
    })
}

/// The failure of an export whose log has gaps. The file has all events that exist.
fn gaps(export: &Export) -> Option<Failure> {
    let (described, count) = export.gaps();
    let first = described.first()?;
    let message = format!("the log has {count} gaps, and so has the export: {first}");
    let next = "such a file can't be imported; docs/runbook.md, \"An archive with gaps\", has what can be done";
    Some(Failure::new(Exit::Unreadable, message).next(next))
}

async fn write(
    store: &Store,
    args: &ExportArgs,
    mut output: Output,
    console: Console,
) -> Result<(Manifest, Option<Failure>), Failure> {
    let options =
        ExportOptions { with_personal_data: args.with_personal_data, is_derived: is_view };
    let mut export = Export::begin(store, options).await.map_err(archive_failure)?;
    let progress = ProgressLine::start(console, "exporting events", export.header().events);
    while let Some(lines) = export.next().await.map_err(archive_failure)? {
        output.write(lines).await?;
        progress.reached(export.manifest().events);
    }
    output.finish().await?;
    progress.finish();
    Ok((export.manifest().clone(), gaps(&export)))
}

fn report(manifest: &Manifest, args: &ExportArgs, console: Console) {
    if console.is_json() {
        let result = json!({"file": args.file.display().to_string(), "manifest": manifest});
        Console::result_json(&result);
        return;
    }
    console.note(&format!(
        "{}: {} events up to position {}, {} receipts; log {} in epoch {}.",
        args.file.display(),
        manifest.events,
        manifest.last_position,
        manifest.receipts,
        manifest.log_id,
        manifest.epoch
    ));
    if !args.with_personal_data {
        console.note("Names of persons are not in it: --with-personal-data writes them too.");
    }
}
