//! Rebuilding the item view from a long log, compared with the database's own export of the same rows and
//! with stock cqrs-es; how the time grows with the log, the memory, and the cost for callers that send
//! commands meanwhile.
//!
//! Every round measures all candidates in turn. Run by `cargo bench -p gdmarket-bench --bench replay`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

mod fill;
mod meanwhile;
mod memory;
#[path = "../shared/ours.rs"]
mod ours;
#[path = "../shared/port.rs"]
mod port;
mod rebuild;
mod stock;
#[path = "../shared/workload.rs"]
mod workload;

use anyhow::ensure;
use clap::Parser;
use gdmarket_bench::database;
use gdmarket_bench::report::median;
use gdmarket_testkit::PgCluster;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::Instant;

#[derive(Parser)]
#[command(about = "Rebuilding a view, compared with COPY and stock cqrs-es")]
struct Args {
    /// Rounds; the median over them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Events of the log.
    #[arg(long, default_value_t = 1_000_000)]
    events: u32,
    /// The length of the longer log as a multiple of the other; 1 leaves the longer log out.
    #[arg(long, default_value_t = 4)]
    times: u32,
    /// Events that stock cqrs-es replays; it is too slow for all of them.
    #[arg(long, default_value_t = 15_000)]
    stock_events: u32,
    /// Events of other items between two of one item, on PostgreSQL.
    #[arg(long, default_value_t = 0)]
    apart: u32,
    /// Only this engine: postgres or sqlite.
    #[arg(long)]
    only: Option<String>,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.only.as_deref() != Some("sqlite") {
        postgres(&args).await?;
    }
    if args.only.as_deref() != Some("postgres") {
        sqlite(&args).await?;
    }
    Ok(())
}

async fn postgres(args: &Args) -> anyhow::Result<()> {
    let cluster = PgCluster::start_new();
    database::give_memory(&cluster.url()).await?;
    cluster.stop();
    cluster.start();
    let server = cluster.url();
    let log = database::fresh(&server, "replayed", "").await?;
    fill::postgres(&log, (args.events, args.apart)).await?;
    let stock = database::fresh(&server, "stock", database::STOCK_TABLE).await?;
    fill::stock(&stock, args.stock_events).await?;
    let psql = cluster.program("psql");
    let (mut to_copy, mut to_stock) = (vec![], vec![]);
    for round in 1..=args.rounds {
        let copy =
            timed(Command::new(&psql).args(["-qX", &log, "-c", "COPY events TO STDOUT"])).await?;
        let peak = memory::Peak::start()?;
        let took = rebuild::item_info(&log, args.events).await?;
        let peak = peak.mebibytes()?;
        let stock_rate = stock::rate(&stock, args.stock_events).await?;
        let rate = f64::from(args.events) / took;
        to_copy.push(took / copy);
        to_stock.push(rate / stock_rate);
        eprintln!(
            "postgres round {round}: COPY {copy:.2} s, ours {took:.2} s ({rate:.0}/s, peak {peak} \
             MiB), stock {stock_rate:.0}/s"
        );
    }
    println!("\n### Rebuilding item_info from {} events on PostgreSQL\n", args.events);
    println!("- time to that of COPY TO STDOUT: {}", with_range(&to_copy));
    println!("- rate to that of stock cqrs-es: {}", with_range(&to_stock));
    if args.times > 1 {
        growth(args, &server, &log).await?;
    }
    // This is last because it appends to the log.
    let (without, with) = meanwhile::p99(&log, args.rounds).await?;
    let ratios: Vec<f64> = with.iter().zip(&without).map(|(with, alone)| with / alone).collect();
    println!("- command p99 during a rebuild to that without: {}", with_range(&ratios));
    Ok(())
}

/// Measures how much longer the rebuild of the longer log takes.
async fn growth(args: &Args, server: &str, log: &str) -> anyhow::Result<()> {
    let longer = database::fresh(server, "longer", "").await?;
    let events = args.events * args.times;
    fill::postgres(&longer, (events, args.apart)).await?;
    let (mut ratios, mut peaks) = (vec![], vec![]);
    for round in 1..=args.rounds {
        let once = rebuild::item_info(log, args.events).await?;
        let peak = memory::Peak::start()?;
        let took = rebuild::item_info(&longer, events).await?;
        peaks.push(peak.mebibytes()?);
        ratios.push(took / once);
        eprintln!("growth round {round}: {once:.2} s, {events} events {took:.2} s");
    }
    let peak = peaks.iter().max().copied().unwrap_or_default();
    println!("- {events} events take {} times as long; peak {peak} MiB", with_range(&ratios));
    Ok(())
}

async fn sqlite(args: &Args) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    fill::sqlite(folder.path(), args.events).await?;
    let file = folder.path().join("log.db");
    let url = format!("sqlite:{}", folder.path().display());
    let mut ratios = vec![];
    for round in 1..=args.rounds {
        let select = timed(
            Command::new("sqlite3")
                .args(["-cmd", ".timeout 10000"])
                .arg(&file)
                .arg("SELECT * FROM events"),
        )
        .await?;
        let took = rebuild::item_info(&url, args.events).await?;
        ratios.push(took / select);
        eprintln!("sqlite round {round}: sqlite3 {select:.2} s, ours {took:.2} s");
    }
    println!("\n### Rebuilding item_info from {} events on SQLite\n", args.events);
    println!("- time to that of sqlite3 'SELECT * FROM events': {}", with_range(&ratios));
    Ok(())
}

/// Seconds that a program takes to write its output to `/dev/null`.
async fn timed(command: &mut Command) -> anyhow::Result<f64> {
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status().await?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(started.elapsed().as_secs_f64())
}

fn with_range(ratios: &[f64]) -> String {
    let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({low:.2}–{high:.2})", median(ratios.to_vec()))
}
