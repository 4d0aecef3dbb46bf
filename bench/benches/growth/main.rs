//! The cost of a long log: the append rate compared with pgbench on tables of equal size, short and
//! long, and the server's memory on the long log.
//!
//! SQL fills the tables. Every round measures both candidates on the short and the long table in turn; a
//! short table is created again each time, because a cell makes it several times as long. Run by
//! `cargo bench -p gdmarket-bench --bench growth -- --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

#[path = "../shared/client.rs"]
mod client;
mod fill;
mod memory;
#[path = "../shared/ours.rs"]
mod ours;
#[path = "../shared/port.rs"]
mod port;
#[path = "../shared/workload.rs"]
mod workload;

use clap::Parser;
use gdmarket_bench::cell::Pace;
use gdmarket_bench::report::median;
use gdmarket_bench::{database, pgbench, program};
use gdmarket_testkit::PgCluster;
use std::time::Duration;

#[derive(Parser)]
#[command(
    about = "Appends compared with pgbench on a short and a long log, and the server's memory"
)]
struct Args {
    /// Rounds; the median over them is printed. Three are too few: every ratio contains the variance of two
    /// pgbench tables.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds measured per cell, after half a second of warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Events of the short log.
    #[arg(long, default_value_t = 10_000)]
    short: u32,
    /// Events of the long log.
    #[arg(long, default_value_t = 1_000_000)]
    long: u32,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The databases of one length.
struct Tables {
    ours: String,
    stock: String,
    events: u32,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let gdmarket = program::gdmarket()?;
    let cluster = PgCluster::start_new();
    database::give_memory(&cluster.url()).await?;
    cluster.stop();
    cluster.start();
    let long = Tables::make(&cluster, ("long_ours", "long_stock"), args.long).await?;
    let memory = memory::of_server(&gdmarket, &long).await?;
    let mut falls = Vec::new();
    println!("| round | events | pgbench | ours | × pgbench |\n|---|---:|---:|---:|---:|");
    for round in 1..=args.rounds {
        let short = Tables::make(&cluster, ("short_ours", "short_stock"), args.short).await?;
        let at_first = ratio(&args, &cluster, &short, round).await?;
        let at_last = ratio(&args, &cluster, &long, round).await?;
        falls.push(1.0 - at_last / at_first);
    }
    let (low, high) =
        (falls.iter().copied().reduce(f64::min), falls.iter().copied().reduce(f64::max));
    println!(
        "\nFrom {} to {} events the ratio falls by {:.0} % ({:.0}–{:.0} %).",
        args.short,
        args.long,
        100.0 * median(falls.clone()),
        100.0 * low.unwrap_or_default(),
        100.0 * high.unwrap_or_default()
    );
    println!("{memory}");
    Ok(())
}

impl Tables {
    async fn make(
        cluster: &PgCluster,
        (ours, stock): (&'static str, &'static str),
        events: u32,
    ) -> anyhow::Result<Self> {
        let server = cluster.url();
        let ours = database::fresh(&server, ours, "").await?;
        fill::ours(&ours, events).await?;
        let stock = database::fresh(&server, stock, database::STOCK_TABLE).await?;
        fill::stock(&stock, events).await?;
        Ok(Self { ours, stock, events })
    }
}

/// The append rate relative to pgbench on tables of this length.
async fn ratio(
    args: &Args,
    cluster: &PgCluster,
    tables: &Tables,
    round: usize,
) -> anyhow::Result<f64> {
    let pace = Pace { concurrency: 64, measured: Duration::from_secs_f64(args.seconds) };
    let pgbench = pgbench::run(&cluster.program("pgbench"), &tables.stock, pace).await?;
    // Numbers beyond the filled items and beyond those of earlier rounds.
    let after = u64::from(tables.events) + 10_000_000 * u64::try_from(round)?;
    let ours = ours::measure(&tables.ours, pace, false, after).await?;
    let ratio = ours.per_second / pgbench.per_second;
    println!(
        "| {round} | {} | {:.0}/s | {:.0}/s | {ratio:.2} |",
        tables.events, pgbench.per_second, ours.per_second
    );
    eprintln!("growth round {round}, {} events: {ratio:.2} x pgbench", tables.events);
    Ok(ratio)
}
