//! Importing an archive into PostgreSQL, compared with plain `COPY FROM` of the same rows, and exporting,
//! compared with `COPY TO`, in one interleaved run.
//!
//! Every round measures every cell in turn on a database of its own with the same columns, indexes and
//! trigger. Ratios are taken within a round; the median over the rounds is printed with its range.
//!
//! Run by `cargo bench -p gdmarket-bench --bench archive -- --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

mod copy;
mod database;

use clap::Parser;
use copy::{copy_in, copy_out};
use database::{fill, settle};
use gdmarket_bench::database::{fresh, give_memory};
use gdmarket_bench::report::median;
use gdmarket_store::{
    ArchiveReader, Export, ExportOptions, ImportOptions, NumberKind, Store, StoreOptions, import,
};
use gdmarket_testkit::PgCluster;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Parser)]
#[command(
    about = "Import compared with COPY FROM, export compared with COPY TO, in one interleaved run"
)]
struct Args {
    /// Rounds; the median over them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Events of the log, three per stream, each with a receipt.
    #[arg(long, default_value_t = 300_000)]
    events: u32,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How long each cell of a round took.
struct Round {
    copy_to: Duration,
    export: Duration,
    copy_events: Duration,
    copy_all: Duration,
    import: Duration,
}

/// The time of a cell in a round.
type Cell = fn(&Round) -> Duration;
/// The cell that another is compared with, and its name.
type Base = (&'static str, Cell);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let cluster = PgCluster::start_new();
    give_memory(&cluster.url()).await?;
    cluster.stop();
    cluster.start();
    let folder = tempfile::tempdir()?;
    let source = fresh(&cluster.url(), "archive_source", "").await?;
    Store::migrate(&options(&source)).await?;
    fill(&source, args.events).await?;
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = round(&cluster, &source, folder.path()).await?;
        eprintln!(
            "round {number}: COPY TO {:.2?}, export {:.2?}, COPY FROM of events {:.2?}, of events \
             and receipts {:.2?}, import {:.2?}",
            round.copy_to, round.export, round.copy_events, round.copy_all, round.import
        );
        rounds.push(round);
    }
    print(&rounds, args.events);
    Ok(())
}

async fn round(cluster: &PgCluster, source: &str, folder: &Path) -> anyhow::Result<Round> {
    let (events, receipts) = (folder.join("events"), folder.join("receipts"));
    let archive = folder.join("archive.ndjson");
    settle(cluster).await?;
    let copy_to = timed(copy_out(source, "events", &events)).await?;
    copy_out(source, "receipts", &receipts).await?;
    settle(cluster).await?;
    let export = timed(export(source, &archive)).await?;
    let plain = migrated(cluster, "archive_copy").await?;
    let copy_events = timed(copy_in(&plain, "events", &events)).await?;
    let copy_receipts = timed(copy_in(&plain, "receipts", &receipts)).await?;
    let ours = migrated(cluster, "archive_import").await?;
    let import = timed(load(&ours, &archive)).await?;
    Ok(Round { copy_to, export, copy_events, copy_all: copy_events + copy_receipts, import })
}

fn options(url: &str) -> StoreOptions {
    StoreOptions { url: url.to_owned(), ..StoreOptions::default() }
}

/// A database with the schema, at rest.
async fn migrated(cluster: &PgCluster, name: &'static str) -> anyhow::Result<String> {
    let url = fresh(&cluster.url(), name, "").await?;
    Store::migrate(&options(&url)).await?;
    settle(cluster).await?;
    Ok(url)
}

async fn export(url: &str, file: &Path) -> anyhow::Result<()> {
    let store = Store::open(&options(url)).await?;
    let mut output = BufWriter::new(File::create(file)?);
    let options = ExportOptions { with_personal_data: false, is_derived: |_| false };
    let mut export = Export::begin(&store, options).await?;
    while let Some(lines) = export.next().await? {
        output.write_all(&lines)?;
    }
    output.flush()?;
    drop(export);
    store.close().await;
    Ok(())
}

async fn load(url: &str, file: &Path) -> anyhow::Result<()> {
    let archive = ArchiveReader::open(File::open(file)?).await?;
    let items = NumberKind { kind: "item", stream_types: &["item"], named_by: None };
    let settings =
        ImportOptions { numbered: &[items], acting: &[], is_derived: |_| false, division: None };
    import(&options(url), settings, archive, &|_| {}).await?;
    Ok(())
}

async fn timed(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Duration> {
    let started = Instant::now();
    work.await?;
    Ok(started.elapsed())
}

fn print(rounds: &[Round], events: u32) {
    println!("\n### Archive on PostgreSQL, {events} events ({} rounds)\n", rounds.len());
    println!("| cell | events/s | ratio |");
    println!("|---|---:|---:|");
    let cells: [(&str, Cell, Option<Base>); 6] = [
        ("COPY TO of events", |r| r.copy_to, None),
        ("export", |r| r.export, Some(("COPY TO of events", |r| r.copy_to))),
        ("COPY FROM of events", |r| r.copy_events, None),
        ("COPY FROM of events and receipts", |r| r.copy_all, None),
        ("import", |r| r.import, Some(("COPY FROM of events", |r| r.copy_events))),
        ("import", |r| r.import, Some(("COPY FROM of events and receipts", |r| r.copy_all))),
    ];
    for (name, cell, base) in cells {
        let rates = rounds.iter().map(|round| f64::from(events) / cell(round).as_secs_f64());
        let ratio = base.map_or_else(String::new, |(name, base)| {
            let ratios = rounds.iter().map(|r| base(r).as_secs_f64() / cell(r).as_secs_f64());
            format!("{} × {name}", spread(ratios.collect()))
        });
        println!("| {name} | {:.0} | {ratio} |", median(rates.collect()));
    }
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.first().copied(), values.last().copied());
    let (low, high) = (low.unwrap_or_default(), high.unwrap_or_default());
    format!("{:.2} ({low:.2}–{high:.2})", median(values))
}
