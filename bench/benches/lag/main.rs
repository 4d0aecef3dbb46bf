//! The highest rate of commands that the views keep up with, at a lag of under a second at p99, as a
//! share of the rate without projections, and the lag at half of that rate.
//!
//! Lag is the time from a command's answer until every view has applied its event. The load is an
//! open loop: items arrive at the requested rate, whether or not earlier ones are done. Run by
//! `cargo bench -p gdmarket-bench --bench lag -- --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

mod open_loop;
#[path = "../shared/ours.rs"]
mod ours;
#[path = "../shared/port.rs"]
mod port;
#[path = "../shared/workload.rs"]
mod workload;

use clap::Parser;
use gdmarket_bench::cell::Pace;
use gdmarket_bench::database;
use gdmarket_bench::report::median;
use gdmarket_testkit::PgCluster;
use open_loop::{Load, OpenLoop};
use std::time::Duration;

/// The highest lag at p99 that counts as keeping up, in milliseconds.
const KEEPS_UP: f64 = 1000.0;
/// The share of the requested rate that must have been reached.
const REACHED: f64 = 0.97;

#[derive(Parser)]
#[command(about = "The highest rate that the views keep up with, and their lag")]
struct Args {
    /// Rounds; the median over them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds measured per step, after a second of warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Shares of the rate without projections that are tried, ascending.
    #[arg(long, value_delimiter = ',',
        default_values_t = [0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8])]
    shares: Vec<f64>,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The results of one round.
struct Round {
    without: f64,
    highest: Load,
    half: Load,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let cluster = PgCluster::start_new();
    database::give_memory(&cluster.url()).await?;
    cluster.stop();
    cluster.start();
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = this_round(&args, &cluster).await?;
        println!(
            "| {number} | {:.0} | {:.0} | {:.2} | {:.0} ms | {:.0} ms |",
            round.without,
            round.highest.rate,
            round.highest.rate / round.without,
            round.highest.lag_p99,
            round.half.lag_p99
        );
        rounds.push(round);
    }
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    println!(
        "\n| | rate without | highest reached | share | lag p99 there | lag p99 at half of it |"
    );
    println!(
        "| median | {:.0} | {:.0} | {:.2} | {:.0} ms | {:.0} ms |",
        of(|round| round.without),
        of(|round| round.highest.rate),
        of(|round| round.highest.rate / round.without),
        of(|round| round.highest.lag_p99),
        of(|round| round.half.lag_p99),
    );
    Ok(())
}

async fn this_round(args: &Args, cluster: &PgCluster) -> anyhow::Result<Round> {
    let measured = Duration::from_secs_f64(args.seconds);
    let url = database::fresh(&cluster.url(), "bench_ours", "").await?;
    let pace = Pace { concurrency: 64, measured };
    let without = ours::measure(&url, pace, false, 0).await?.per_second;
    let url = database::fresh(&cluster.url(), "bench_ours", "").await?;
    let mut load = OpenLoop::open(&url, measured).await?;
    let mut highest = Load::default();
    for share in &args.shares {
        let reached = load.at(without * share).await?;
        eprintln!("{share:.2} of {without:.0}/s: {reached}");
        if reached.rate < without * share * REACHED || reached.lag_p99 >= KEEPS_UP {
            break;
        }
        highest = reached;
    }
    let half = load.at(highest.rate / 2.0).await?;
    eprintln!("half of the highest: {half}");
    load.close().await;
    Ok(Round { without, highest, half })
}
