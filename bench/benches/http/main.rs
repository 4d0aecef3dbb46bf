//! Registrations over HTTP, in events per second: GDmarket, pgbench and stock cqrs-es behind axum in one
//! interleaved run. Every server is a process of its own; the load comes from this process.
//!
//! `POST /items` with `Prefer: respond-async` and an `Idempotency-Key` each; the alarm takes no time.
//! A registration is two events, `Alerted` and `ItemRegistered`. Run by
//! `cargo bench -p gdmarket-bench --bench http -- --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

#[path = "../shared/client.rs"]
mod client;
mod ours;
mod stock;

use anyhow::Context as _;
use clap::Parser;
use gdmarket_bench::cell::{Cell, Pace};
use gdmarket_bench::database::{self, STOCK_TABLE};
use gdmarket_bench::report::Report;
use gdmarket_bench::{pgbench, program};
use gdmarket_testkit::{PgCluster, ServerOptions};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

#[derive(Parser)]
#[command(about = "Events per second over HTTP: ours, stock cqrs-es behind axum, and pgbench")]
struct Args {
    /// Rounds; the median over them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds measured per cell, after half a second of warm-up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Serves this candidate instead of measuring; the benchmark starts its servers this way.
    #[arg(long, hide = true)]
    serve: Option<String>,
    /// The database of the served candidate.
    #[arg(long, hide = true, default_value = "")]
    url: String,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.serve.as_deref() {
        Some(stock::ONE) => stock::serve(&args.url, false).await,
        Some(stock::BOTH) => stock::serve(&args.url, true).await,
        Some(_) => ours::serve(&args.url).await,
        None => measure(&args).await,
    }
}

async fn measure(args: &Args) -> anyhow::Result<()> {
    let gdmarket = program::gdmarket()?;
    let cluster = PgCluster::start_new();
    database::give_memory(&cluster.url()).await?;
    cluster.stop();
    cluster.start();
    let mut report = Report::of("events");
    for round in 1..=args.rounds {
        let cells = this_round(args, &cluster, &gdmarket).await?;
        let rates = cells.iter().map(|cell| format!("{} {:.0}/s", cell.candidate, cell.per_second));
        eprintln!("http round {round}: {}", rates.collect::<Vec<_>>().join(", "));
        report.add("HTTP on PostgreSQL", args.connections, cells);
    }
    report.print();
    Ok(())
}

async fn this_round(
    args: &Args,
    cluster: &PgCluster,
    gdmarket: &Path,
) -> anyhow::Result<Vec<Cell>> {
    let measured = Duration::from_secs_f64(args.seconds);
    let pace = Pace { concurrency: args.connections, measured };
    let server = cluster.url();
    let yardstick = database::fresh(&server, "bench_pgbench", STOCK_TABLE).await?;
    let mut cells = vec![pgbench::run(&cluster.program("pgbench"), &yardstick, pace).await?];
    for (candidate, events) in [(stock::ONE, 1.0), (stock::BOTH, 2.0)] {
        let url = database::fresh(&server, "bench_stock", STOCK_TABLE).await?;
        let (_child, port) = start_self(candidate, &url).await?;
        cells.push(client::drive(candidate, port, pace).await?.times(events));
    }
    let url = database::fresh(&server, "bench_ours", "").await?;
    let (child, port) = start_self("ours", &url).await?;
    cells.push(client::drive("ours", port, pace).await?.times(2.0));
    drop(child);
    let url = database::fresh(&server, "bench_ours", "").await?;
    let options = ServerOptions::new(gdmarket).database_url(&url);
    let serving = options.variable("GDMARKET__ALARM__DELAY_MS", "0").start().await;
    let on = client::drive("ours, projections on", serving.port(), pace).await?;
    cells.push(on.times(2.0));
    Ok(cells)
}

/// Starts this program again as one candidate's server, which prints its port.
async fn start_self(candidate: &str, url: &str) -> anyhow::Result<(Child, u16)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--serve", candidate, "--url", url])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("the server's output")?;
    let line = BufReader::new(stdout).lines().next_line().await?;
    let port = line.with_context(|| format!("{candidate} doesn't start"))?.parse()?;
    Ok((child, port))
}

/// Listens on a port of the loopback and prints it for the parent process.
async fn listen() -> anyhow::Result<tokio::net::TcpListener> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    Ok(listener)
}
