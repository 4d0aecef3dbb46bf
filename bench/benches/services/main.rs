//! The market as four services, compared with one process, in one interleaved run: rentals per second over HTTP, and the
//! time from an event's commit in one service to its effect in another.
//!
//! Item and reservation are on PostgreSQL, payment and alarm on SQLite, as `gdmarket dev` starts them; the single process is on
//! PostgreSQL. Run by `cargo bench -p gdmarket-bench --bench services -- --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

mod delays;
mod markets;
mod people;
mod rentals;

use clap::Parser;
use delays::Delays;
use gdmarket_bench::report::median;
use gdmarket_bench::{database, program};
use gdmarket_testkit::PgCluster;
use markets::{Markets, Mode};
use std::time::Duration;

#[derive(Parser)]
#[command(
    about = "Four services compared with one process: rentals per second, and delays between services"
)]
struct Args {
    /// Rounds; the median over them is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds measured per cell, after a second of warm-up.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Neighbours who rent at once, each an item of its own.
    #[arg(long, default_value_t = 32)]
    neighbours: usize,
    /// Events per second while delays are measured, in all logs together.
    #[arg(long, default_value_t = 500.0)]
    events: f64,
    /// An argument that cargo bench passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one round measured of a mode.
struct Measured {
    mode: Mode,
    rentals: f64,
    delays: Option<Delays>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let cluster = PgCluster::start_new();
    database::give_memory(&cluster.url()).await?;
    cluster.stop();
    cluster.start();
    let markets = Markets::new(program::gdmarket()?, cluster.url());
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = this_round(&args, &markets, number).await?;
        rounds.push(round);
    }
    print(&rounds);
    Ok(())
}

async fn this_round(
    args: &Args,
    markets: &Markets,
    number: usize,
) -> anyhow::Result<Vec<Measured>> {
    let measured = Duration::from_secs_f64(args.seconds);
    let mut round = vec![];
    for mode in Mode::available() {
        let market = markets.start(mode).await;
        let rentals = rentals::per_second(&market.services, args.neighbours, measured).await?;
        drop(market);
        let delays = if mode.is_split() {
            let market = markets.start(mode).await;
            Some(delays::measure(&market.services, args.events, measured).await?)
        } else {
            None
        };
        let shown = delays.as_ref().map(|delays| format!(", {delays}")).unwrap_or_default();
        eprintln!("services round {number}: {}: {rentals:.0} rentals/s{shown}", mode.name());
        round.push(Measured { mode, rentals, delays });
    }
    Ok(round)
}

/// Prints a Markdown table. A ratio is taken within its round.
fn print(rounds: &[Vec<Measured>]) {
    println!("\n| market | rentals/s | × one process | events/s | delay p50 | delay p99 |");
    println!("|---|---:|---:|---:|---:|---:|");
    for mode in Mode::available() {
        let of: Vec<&Measured> = rounds.iter().flatten().filter(|cell| cell.mode == mode).collect();
        let one = |round: &[Measured]| {
            round.iter().find(|cell| !cell.mode.is_split()).map(|cell| cell.rentals)
        };
        let own = |round: &[Measured]| {
            round.iter().find(|cell| cell.mode == mode).map(|cell| cell.rentals)
        };
        let ratios: Vec<f64> =
            rounds.iter().filter_map(|round| Some(own(round)? / one(round)?)).collect();
        let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ratios.iter().copied().fold(0.0, f64::max);
        let delay = |value: fn(&Delays) -> f64| {
            let all: Vec<f64> =
                of.iter().filter_map(|cell| cell.delays.as_ref().map(value)).collect();
            if all.is_empty() { "–".to_owned() } else { format!("{:.1}", median(all)) }
        };
        println!(
            "| {} | {:.0} | {:.2} ({low:.2}–{high:.2}) | {} | {} ms | {} ms |",
            mode.name(),
            median(of.iter().map(|cell| cell.rentals).collect()),
            median(ratios),
            delay(|delays| delays.events_per_second),
            delay(|delays| delays.p50_ms),
            delay(|delays| delays.p99_ms),
        );
    }
}
