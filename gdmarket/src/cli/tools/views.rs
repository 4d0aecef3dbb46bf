//! `gdmarket views`: shows how far views and process managers are, and pauses views.

use super::replay::{self, ReplayArgs};
use super::with_store;
use crate::config::Config;
use crate::output::event_lines::moment;
use crate::output::{Console, Failure};
use clap::{Args, Subcommand};
use gdmarket_domain::Services;
use gdmarket_projections::{LoopState, LoopStatus, overview, pause_view, resume_view};
use gdmarket_store::{Store, SubscriptionId};
use serde_json::json;
use std::time::Duration;

/// The time between the two samples of which the rate of a loop is computed.
const RATE_SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  gdmarket views status                 lag, version, generation, rate and runner of every loop
  gdmarket views status --json | jq 'select(.lagEvents > 1000)'
  gdmarket views rebuild item-info      rebuild it and serve it, as `replay --promote` does
  gdmarket views pause item-info        stop keeping it up to date, on every server
  gdmarket views resume item-info";

/// The arguments of `views`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ViewsArgs {
    #[command(subcommand)]
    command: ViewsCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ViewsCommand {
    /// Show how far every loop is, its rate, and which process runs it.
    #[command(after_help = EXAMPLES)]
    Status,
    /// Rebuild views alongside what is served, show what differs, and serve them.
    #[command(after_help = EXAMPLES)]
    Rebuild {
        /// Which views.
        #[arg(value_name = "VIEW", required_unless_present = "all", conflicts_with = "all")]
        views: Vec<String>,
        /// Every view.
        #[arg(long)]
        all: bool,
    },
    /// Stop keeping a view up to date.
    #[command(after_help = EXAMPLES)]
    Pause {
        /// Which view.
        view: String,
    },
    /// Let a paused view catch up.
    #[command(after_help = EXAMPLES)]
    Resume {
        /// Which view.
        view: String,
    },
}

pub(in crate::cli) fn run(
    args: &ViewsArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    match &args.command {
        ViewsCommand::Status => {
            with_store(config, async |store| status(&store, config.services.own, console).await)
        }
        ViewsCommand::Rebuild { views, all } => {
            replay::run(&ReplayArgs::promoting(views.clone(), *all), config, console)
        }
        ViewsCommand::Pause { view } => with_store(config, async |store| {
            let name = subscription(&store, config.services.own, view).await?;
            pause_view(&store, &name).await?;
            report(console, &name, "paused", "it stays as it is until `gdmarket views resume`");
            Ok(())
        }),
        ViewsCommand::Resume { view } => with_store(config, async |store| {
            let name = subscription(&store, config.services.own, view).await?;
            if resume_view(&store, &name).await? {
                report(
                    console,
                    &name,
                    "resumed",
                    "it catches up where a server runs, within seconds",
                );
            } else {
                report(console, &name, "running", "it wasn't paused");
            }
            Ok(())
        }),
    }
}

fn report(console: Console, name: &str, state: &str, note: &str) {
    if console.is_json() {
        Console::result_json(&json!({"name": name, "state": state}));
    } else {
        console.note(&format!("{name}: {state}; {note}"));
    }
}

/// The name of the loop of a view, in this program's version.
async fn subscription(store: &Store, services: Services, view: &str) -> Result<String, Failure> {
    let all = overview(store, services, Duration::ZERO).await?;
    let views = all.into_iter().filter(|of| of.is_view && of.is_known);
    // A view has a loop for each log that feeds it.
    let mut views = views.map(|of| SubscriptionId::parse(&of.name).subscriber);
    views.find(|name| is_name_of(name, view)).ok_or_else(|| replay::unknown(view))
}

/// Whether a loop is meant by what was typed: its name, or a view's without its version, `item-info`.
pub(in crate::cli) fn is_name_of(name: &str, typed: &str) -> bool {
    let typed = typed.replace('-', "_");
    name == typed || name.rsplit_once("_v").is_some_and(|(plain, _)| plain == typed)
}

async fn status(store: &Store, services: Services, console: Console) -> Result<(), Failure> {
    let all = overview(store, services, RATE_SAMPLE_INTERVAL).await?;
    if console.is_json() {
        for of in &all {
            Console::result_json(&json!(of));
        }
        return Ok(());
    }
    let rows: Vec<[String; 9]> =
        std::iter::once(HEADINGS.map(str::to_owned)).chain(all.iter().map(cells)).collect();
    for row in &rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let widths = rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count());
            format!("{cell:<width$}", width = widths.max().unwrap_or(0))
        });
        Console::result(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for LoopStatus { name, problem, blocked_since, .. } in &all {
        let Some(problem) = problem else { continue };
        let since = blocked_since.map(moment).unwrap_or_default();
        Console::result(&format!("{name} is blocked since {since}: {problem}"));
    }
    Ok(())
}

const HEADINGS: [&str; 9] =
    ["name", "version", "generation", "state", "position", "lag", "rate", "parked", "runner"];

fn cells(of: &LoopStatus) -> [String; 9] {
    let number = |number: Option<String>| number.unwrap_or_else(|| "–".to_owned());
    let state = match of.state {
        LoopState::WaitsForSource => {
            &format!("waits for {}", of.source.as_deref().unwrap_or("its source"))
        }
        LoopState::Running => "running",
        LoopState::Paused => "paused",
        LoopState::Idle if of.is_known => "not running",
        LoopState::Idle => "unused version",
        LoopState::OtherLog => "of another log",
        LoopState::NotBuilt => "not built",
    };
    [
        of.name.clone(),
        number(of.version.map(|version| version.to_string())),
        number(of.generation.map(|generation| generation.to_string())),
        state.to_owned(),
        of.position.to_string(),
        of.lag_events.zip(of.lag_seconds).map_or_else(
            || "-".to_owned(),
            |(events, seconds)| format!("{events} events, {seconds:.1} s"),
        ),
        format!("{:.0}/s", of.rate),
        of.parked.to_string(),
        number(of.holder.clone()),
    ]
}
