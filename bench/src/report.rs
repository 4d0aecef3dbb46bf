//! The tables of `docs/performance.md`, made of measured cells.

use crate::cell::Cell;
use std::collections::BTreeMap;

/// All rounds of a run.
#[derive(Debug)]
pub struct Report {
    /// The unit that is counted per second.
    unit: &'static str,
    /// The rounds by engine and concurrency, each with a cell per candidate.
    rounds: BTreeMap<(&'static str, usize), Vec<Vec<Cell>>>,
}

impl Report {
    /// A report of rates in this unit.
    pub const fn of(unit: &'static str) -> Self {
        Self { unit, rounds: BTreeMap::new() }
    }

    /// Adds a round.
    pub fn add(&mut self, engine: &'static str, concurrency: usize, cells: Vec<Cell>) {
        self.rounds.entry((engine, concurrency)).or_default().push(cells);
    }

    /// Prints one Markdown table per engine and concurrency. A ratio is taken within its round.
    pub fn print(&self) {
        for ((engine, concurrency), rounds) in &self.rounds {
            println!("\n### {engine}, {concurrency} at once ({} rounds)\n", rounds.len());
            println!(
                "| candidate | {}/s | × pgbench | × stock | p50 | p99 | p99 / stock | errors |",
                self.unit
            );
            println!("|---|---:|---:|---:|---:|---:|---:|---:|");
            for candidate in rounds.first().into_iter().flatten().map(|cell| cell.candidate) {
                println!("{}", row(candidate, rounds));
            }
        }
    }
}

fn row(candidate: &str, rounds: &[Vec<Cell>]) -> String {
    let own: Vec<&Cell> = rounds.iter().filter_map(|round| find(round, candidate)).collect();
    let rate = median(own.iter().map(|cell| cell.per_second).collect());
    let latency = |pick: fn((u64, u64)) -> u64| {
        let all: Vec<f64> =
            own.iter().filter_map(|cell| cell.latency.map(pick)).map(micros).collect();
        if all.is_empty() { "–".to_owned() } else { format!("{:.1} ms", median(all) / 1000.0) }
    };
    let p99 = |cell: &Cell| cell.latency.map(|(_, p99)| micros(p99));
    format!(
        "| {candidate} | {rate:.0} | {} | {} | {} | {} | {} | {} |",
        ratio(rounds, candidate, |round| find(round, "pgbench"), |cell| Some(cell.per_second)),
        ratio(rounds, candidate, best_stock, |cell| Some(cell.per_second)),
        latency(|(p50, _)| p50),
        latency(|(_, p99)| p99),
        ratio(rounds, candidate, best_stock, p99),
        own.iter().map(|cell| cell.errors).sum::<u64>(),
    )
}

/// The stock candidate with the highest rate in this round.
fn best_stock(round: &[Cell]) -> Option<&Cell> {
    round
        .iter()
        .filter(|cell| cell.candidate.starts_with("stock"))
        .max_by(|a, b| a.per_second.total_cmp(&b.per_second))
}

fn find<'a>(round: &'a [Cell], candidate: &str) -> Option<&'a Cell> {
    round.iter().find(|cell| cell.candidate == candidate)
}

fn ratio(
    rounds: &[Vec<Cell>],
    candidate: &str,
    base: impl Fn(&[Cell]) -> Option<&Cell>,
    value: impl Fn(&Cell) -> Option<f64>,
) -> String {
    let mut ratios: Vec<f64> = rounds
        .iter()
        .filter_map(|round| Some(value(find(round, candidate)?)? / value(base(round)?)?))
        .collect();
    if ratios.is_empty() {
        return "–".to_owned();
    }
    ratios.sort_by(f64::total_cmp);
    let (low, high) = (ratios.first().copied(), ratios.last().copied());
    format!(
        "{:.2} ({:.2}–{:.2})",
        median(ratios),
        low.unwrap_or_default(),
        high.unwrap_or_default()
    )
}

/// The median; NaN for an empty list.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn micros(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}
