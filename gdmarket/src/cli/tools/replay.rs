//! `gdmarket replay`: rebuilds views alongside what is served, compares, and serves them on request; or shows a view as
//! it was.

use super::with_store;
use crate::cli::tools::log_point::LogPoint;
use crate::compose::feeds_of;
use crate::config::Config;
use crate::output::event_lines::moment;
use crate::output::progress::ProgressLine;
use crate::output::{Console, Exit, Failure};
use async_trait::async_trait;
use clap::Args;
use gdmarket_domain::Services;
use gdmarket_projections::{Difference, RebuildObserver, Replay, ReplayError, Replayed};
use gdmarket_store::Store;
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write as _};
use tokio::sync::oneshot;

/// How many differences are shown to people; programs get all.
const MAX_SHOWN_DIFFERENCES: u64 = 100;

const EXAMPLES: &str = "\
Views: item-info, reservations, payments, alarms.

Examples:
  gdmarket replay item-info --verify       compare what is served with what the log says
  gdmarket replay --all --promote          rebuild every view and serve it
  gdmarket replay item-info --to 4711      the view as it was after position 4711, one row a line
  gdmarket replay item-info --to 2027-01-05T12:00:00Z | jq .itemName

The server may continue to serve and to append meanwhile. Exit code 4: a view differs.";

/// The arguments of `replay`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ReplayArgs {
    /// The views.
    #[arg(value_name = "VIEW", required_unless_present = "all", conflicts_with = "all")]
    views: Vec<String>,
    /// Every view.
    #[arg(long)]
    all: bool,
    /// Only compare: exit code 0 if all rows are equal, 4 if a row differs.
    #[arg(long, conflicts_with = "promote")]
    verify: bool,
    /// Show what differs, then serve what was built.
    #[arg(long)]
    promote: bool,
    /// Print one view as it was then instead, as NDJSON.
    #[arg(long, value_name = "POSITION|TIME", conflicts_with_all = ["verify", "promote", "all"])]
    to: Option<LogPoint>,
}

impl ReplayArgs {
    /// The arguments that `views rebuild` stands for.
    pub(in crate::cli) fn promoting(views: Vec<String>, all: bool) -> Self {
        Self { views, all, verify: false, promote: true, to: None }
    }
}

pub(in crate::cli) fn run(
    args: &ReplayArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    let services = config.services.own;
    let named: Result<Vec<String>, Failure> =
        args.views.iter().map(|name| own_view(name, services)).collect();
    let views = if args.all { Replay::views(services) } else { named? };
    if let Some(at) = args.to {
        let [view] = views.as_slice() else {
            return Err(Failure::new(Exit::Usage, "--to shows one view at a time"));
        };
        return with_store(config, async |store| {
            let position = at.position(&store).await?;
            as_of(&replay_of(config, store).await?, view, position, console).await
        });
    }
    let mode = match (args.verify, args.promote) {
        (true, _) => ReplayMode::Verify,
        (_, true) => ReplayMode::Promote,
        _ if io::stdin().is_terminal() && !console.is_json() => ReplayMode::Ask,
        _ => {
            let what = "what is to be done with the rebuilt view?";
            return Err(Failure::new(Exit::Usage, what)
                .next("add --verify to compare only, or --promote to serve it"));
        }
    };
    with_store(config, async |store| {
        rebuild(&replay_of(config, store).await?, &views, mode, console).await
    })
}

/// Replays from the own log and from those of other services that views are fed by.
async fn replay_of(config: &Config, store: Store) -> Result<Replay, Failure> {
    let feeds = feeds_of(config, &store).await?;
    Ok(Replay::with_feeds(store, feeds))
}

/// The name of a view that a process of these services keeps.
fn own_view(name: &str, services: Services) -> Result<String, Failure> {
    let called = Replay::called(name).ok_or_else(|| unknown(name))?;
    if Replay::views(services).contains(&called) {
        return Ok(called);
    }
    let what = format!("the view {called} belongs to another service than {services}");
    Err(Failure::new(Exit::Usage, what).next("use the configuration of the service that keeps it"))
}

/// The failure for a name of no view.
pub(in crate::cli) fn unknown(view: &str) -> Failure {
    let there_are = Replay::views(Services::ALL).join(", ");
    Failure::new(Exit::Usage, format!("no view is called {view:?}; there are: {there_are}"))
}

/// What is done with a rebuilt view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplayMode {
    Verify,
    Promote,
    Ask,
}

async fn as_of(
    replay: &Replay,
    view: &str,
    position: i64,
    console: Console,
) -> Result<(), Failure> {
    let progress = ProgressLine::start(console, &format!("{view} as of {position}: events"), 0);
    let mut print = |row: Value| Console::result_json(&row);
    let meter = |done, of| progress.reached_of(done, of);
    let events = replay.as_of(view, position, &mut print, &meter).await;
    events.map_err(failure)?;
    progress.finish();
    Ok(())
}

async fn rebuild(
    replay: &Replay,
    views: &[String],
    mode: ReplayMode,
    console: Console,
) -> Result<(), Failure> {
    let (mut differing, mut uncompared) = (vec![], vec![]);
    let mut damaged = 0;
    for view in views {
        let progress = ProgressLine::start(console, &format!("{view}: events"), 0);
        let meter = |done, of| progress.reached_of(done, of);
        let mut printer = DifferencePrinter { mode, console, shown: 0 };
        let replayed = replay.rebuild(view, &mut printer, &meter).await.map_err(failure)?;
        progress.finish();
        report(view, &replayed, console);
        if replayed.differing > 0 && replayed.promoted.is_none() {
            damaged += replayed.damaged;
            differing.push(format!("{view}: {} of {} rows", replayed.differing, replayed.rows));
        }
        if mode == ReplayMode::Verify && replayed.compared_at.is_none() {
            uncompared.push(view.as_str());
        }
    }
    if differing.is_empty() && uncompared.is_empty() {
        return Ok(());
    }
    if differing.is_empty() {
        // Nothing was compared, so a script must not read it as success.
        let what = format!("nothing is served yet to compare with: {}", uncompared.join(", "));
        return Err(Failure::new(Exit::Failed, what)
            .next("start a server, which builds it, or add --promote instead"));
    }
    Err(Failure::new(Exit::Differs, format!("what is served differs: {}", differing.join(", ")))
        .next(advice(damaged)))
}

/// The next step for rows that differ. A build from a damaged log is worse than what is served.
fn advice(damaged: u64) -> String {
    if damaged == 0 {
        return "serve what the log says with --promote".to_owned();
    }
    format!(
        "{damaged} of these rows can't be rebuilt because the log is damaged, and the served ones are the \
         better ones: don't serve the build; see what is damaged with `gdmarket check`, then follow \
         \"A row or table damaged by hand\" in docs/runbook.md"
    )
}

fn report(view: &str, replayed: &Replayed, console: Console) {
    let Replayed { events, counted, compared_at, rows, differing, unreadable, promoted, .. } =
        replayed;
    let at = positions(replayed);
    if console.is_json() {
        Console::result_json(&json!({"replayed": replayed}));
        return;
    }
    let compared = match compared_at {
        None => "nothing comparable was served".to_owned(),
        Some(_) if *differing == 0 => format!("all rows ({rows}) are equal at {at}"),
        Some(_) => format!("{differing} of {rows} rows differ at {at}"),
    };
    let served = match promoted {
        Some(generation) => format!("; generation {generation} is served"),
        None => String::new(),
    };
    Console::result(&format!("{view}: {events} of {counted} events; {compared}{served}"));
    if *unreadable > 0 {
        console.note(&format!(
            "{view}: {unreadable} streams or rows of the log can't be read and are parked: see \
             `gdmarket parked list` and `gdmarket check`"
        ));
    }
}

/// The positions at which the views were compared: in the own log, and in those of other services.
fn positions(replayed: &Replayed) -> String {
    let Replayed { compared_at_own: own, compared_at_others: others, .. } = replayed;
    let own = own.map(|at| format!("position {at}"));
    let others = others.iter().map(|(service, at)| format!("position {at} of {service}"));
    own.into_iter().chain(others).collect::<Vec<_>>().join(", ")
}

/// Prints differences as they are found.
struct DifferencePrinter {
    mode: ReplayMode,
    console: Console,
    shown: u64,
}

#[async_trait]
impl RebuildObserver for DifferencePrinter {
    fn differs(&mut self, difference: Difference) {
        self.shown += 1;
        if self.console.is_json() {
            Console::result_json(&json!({"difference": difference}));
        } else if self.shown <= MAX_SHOWN_DIFFERENCES {
            for line in &difference_lines(&difference) {
                Console::result(line);
            }
        } else if self.shown == MAX_SHOWN_DIFFERENCES + 1 {
            self.console.note(&format!(
                "only the first {MAX_SHOWN_DIFFERENCES} are shown; --json prints all"
            ));
        }
    }

    async fn serve(&mut self, so_far: &Replayed) -> bool {
        match self.mode {
            ReplayMode::Verify => false,
            ReplayMode::Promote => true,
            ReplayMode::Ask => {
                let Replayed { view, rows, differing, compared_at, .. } = so_far;
                let found = match compared_at {
                    None => "nothing is served yet".to_owned(),
                    Some(_) => format!("{differing} of {rows} rows differ"),
                };
                let question = format!("\n{view}: {found}. Serve the new one? [y/N] ");
                // A thread of the runtime would keep waiting for an answer after Ctrl-C.
                let (sender, answer) = oneshot::channel();
                std::thread::spawn(move || sender.send(says_yes(&question)));
                answer.await.unwrap_or(false)
            }
        }
    }
}

fn says_yes(question: &str) -> bool {
    drop(write!(io::stderr(), "{question}").and_then(|()| io::stderr().flush()));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn difference_lines(difference: &Difference) -> Vec<String> {
    let Difference { view, number, columns, live, rebuilt, events } = difference;
    let mut lines = vec![format!("{view} {number} {}", summary(difference))];
    for column in columns.iter().filter(|_| !live.is_null() && !rebuilt.is_null()) {
        let side = |row: &Value| {
            row.get(column.as_str()).map_or_else(|| "no row".to_owned(), Value::to_string)
        };
        lines.push(format!("  {column}: served {}, in the log {}", side(live), side(rebuilt)));
    }
    for event in events {
        let time = moment(event.recorded_at);
        lines.push(format!(
            "  position {}, {time}: #{} {}",
            event.position, event.sequence, event.event_type
        ));
    }
    lines
}

fn summary(difference: &Difference) -> String {
    if difference.live.is_null() {
        return "isn't served; it is in the log".to_owned();
    }
    if difference.rebuilt.is_null() {
        return "is served; it isn't in the log".to_owned();
    }
    format!("differs in {}", difference.columns.join(", "))
}

fn failure(error: ReplayError) -> Failure {
    let message = error.to_string();
    match error {
        ReplayError::Store(error) => error.into(),
        ReplayError::Newer(_) => {
            Failure::new(Exit::Unreadable, message).next("install the newer gdmarket")
        }
        ReplayError::Busy(_) => {
            Failure::new(Exit::Failed, message).next("wait until it is done, then try again")
        }
        ReplayError::UnknownView(..) => Failure::new(Exit::Usage, message),
        ReplayError::Unreachable(_) => Failure::new(Exit::Unreachable, message).next(
            "nothing was changed; start that service, or correct its address, then try again",
        ),
        ReplayError::Short { .. } => Failure::new(Exit::Failed, message)
            .next("nothing was changed; look at the database, then try again"),
        ReplayError::Moved(_) | ReplayError::Broken(_) | ReplayError::MissingSource(..) => {
            Failure::new(Exit::Failed, message)
        }
    }
}
