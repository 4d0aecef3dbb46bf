//! Commands per second of GDmarket, pgbench and stock cqrs-es in one interleaved run.
//!
//! Every round measures every (concurrency, candidate) cell in turn on a database of its own, so a slow
//! minute of the machine affects all candidates alike. Ratios are taken within a round; the median over
//! the rounds is printed with its range.
//!
//! Run by `cargo bench -p gdmarket-bench -- --help`.
#![expect(clippy::print_stderr, reason = "a benchmark prints")]

#[path = "../shared/ours.rs"]
mod ours;
#[path = "../shared/port.rs"]
mod port;
mod stock;
#[path = "../shared/workload.rs"]
mod workload;

use clap::Parser;
use gdmarket_bench::cell::{Cell, Pace};
use gdmarket_bench::database::{self, STOCK_TABLE};
use gdmarket_bench::pgbench;
use gdmarket_bench::report::Report;
use gdmarket_testkit::PgCluster;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Appends per second: ours, stock cqrs-es and pgbench in one interleaved run")]
struct Args {
    /// Rounds; the median over them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds measured per cell, after half a second of warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only this engine: postgres or sqlite.
    #[arg(long)]
    only: Option<String>,
    /// Concurrent callers on PostgreSQL.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    concurrency: Vec<usize>,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut report = Report::of("commands");
    if args.only.as_deref() != Some("sqlite") {
        postgres(&args, &mut report).await?;
    }
    if args.only.as_deref() != Some("postgres") {
        sqlite(&args, &mut report).await?;
    }
    report.print();
    Ok(())
}

fn pace(args: &Args, concurrency: usize) -> Pace {
    Pace { concurrency, measured: Duration::from_secs_f64(args.seconds) }
}

async fn postgres(args: &Args, report: &mut Report) -> anyhow::Result<()> {
    let cluster = PgCluster::start_new();
    database::give_memory(&cluster.url()).await?;
    cluster.stop();
    cluster.start();
    let program = cluster.program("pgbench");
    for round in 0..args.rounds {
        for &concurrency in &args.concurrency {
            let pace = pace(args, concurrency);
            let yardstick = database::fresh(&cluster.url(), "bench_pgbench", STOCK_TABLE).await?;
            let own_pool = u32::try_from(concurrency.max(10))?;
            let cells: Vec<Cell> = vec![
                pgbench::run(&program, &yardstick, pace).await?,
                stock::postgres(&cluster, pace, 10, "stock").await?,
                stock::postgres(&cluster, pace, own_pool, "stock, pool = callers").await?,
                ours_on_postgres(&cluster, pace, false).await?,
                ours_on_postgres(&cluster, pace, true).await?,
            ];
            progress("postgres", round, &cells);
            report.add("PostgreSQL", concurrency, cells);
        }
    }
    Ok(())
}

async fn sqlite(args: &Args, report: &mut Report) -> anyhow::Result<()> {
    for round in 0..args.rounds {
        let pace = pace(args, 32);
        let cells: Vec<Cell> = vec![
            stock::sqlite(pace).await?,
            ours_on_sqlite(pace, false).await?,
            ours_on_sqlite(pace, true).await?,
        ];
        progress("sqlite", round, &cells);
        report.add("SQLite FULL", 32, cells);
    }
    Ok(())
}

async fn ours_on_postgres(
    cluster: &PgCluster,
    pace: Pace,
    with_projections: bool,
) -> anyhow::Result<Cell> {
    let url = database::fresh(&cluster.url(), "bench_ours", "").await?;
    ours::measure(&url, pace, with_projections, 0).await
}

/// GDmarket on SQLite with `synchronous=FULL`, as always.
async fn ours_on_sqlite(pace: Pace, with_projections: bool) -> anyhow::Result<Cell> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().display());
    ours::measure(&url, pace, with_projections, 0).await
}

fn progress(engine: &str, round: usize, cells: &[Cell]) {
    let rates: Vec<String> =
        cells.iter().map(|cell| format!("{} {:.0}/s", cell.candidate, cell.per_second)).collect();
    eprintln!("{engine} round {}: {}", round + 1, rates.join(", "));
}
