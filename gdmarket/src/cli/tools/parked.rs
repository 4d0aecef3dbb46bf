//! `gdmarket parked`: shows, retries and drops what is parked.

use super::views::is_name_of;
use super::with_store;
use crate::config::Config;
use crate::output::{Console, Exit, Failure};
use clap::{Args, Subcommand};
use gdmarket_projections::{
    DroppedEvent, ParkedKey, ParkedKeyDetail, ParkedWork, Replay, RetryOutcome,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait for the retry of a running server.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  gdmarket parked list                                  what is parked, why, and how much waits
  gdmarket parked show item-info item/7                 the events that wait
  gdmarket parked retry item-info item/7                retry it now, after a fix
  gdmarket parked retry --all
  gdmarket parked list --dropped                        what was ever dropped, and why
  gdmarket parked drop holding reservation/7 --reason 'settled by phone'";

/// The arguments of `parked`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ParkedArgs {
    #[command(subcommand)]
    command: ParkedCommand,
}

/// One key of a subscription.
#[derive(Debug, Clone, Args)]
struct KeyArgs {
    /// The view or process manager, as `parked list` names it.
    subscription: String,
    /// The stream or process, as `parked list` names it.
    key: String,
}

#[derive(Debug, Clone, Subcommand)]
enum ParkedCommand {
    /// List everything that is parked.
    #[command(after_help = EXAMPLES)]
    List {
        /// List what was ever dropped instead, and why.
        #[arg(long)]
        dropped: bool,
    },
    /// Show one key, and the events that wait for it.
    #[command(after_help = EXAMPLES)]
    Show(KeyArgs),
    /// Have the running server retry a key.
    #[command(after_help = EXAMPLES)]
    Retry {
        /// The view or process manager.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        subscription: Option<String>,
        /// The stream or process.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        key: Option<String>,
        /// Everything that wasn't dropped.
        #[arg(long)]
        all: bool,
    },
    /// Drop the event that a key stopped at: a process manager continues after it, a view's row stays stale.
    #[command(after_help = EXAMPLES)]
    Drop {
        #[command(flatten)]
        of: KeyArgs,
        /// Why; it is kept.
        #[arg(long)]
        reason: String,
    },
}

pub(in crate::cli) fn run(
    args: &ParkedArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    if let ParkedCommand::Drop { reason, .. } = &args.command
        && reason.trim().is_empty()
    {
        return Err(Failure::new(Exit::Usage, "--reason: say why it is dropped"));
    }
    with_store(config, async |store| {
        let parked = ParkedWork::new(store);
        match &args.command {
            ParkedCommand::List { dropped: true } => list_dropped(&parked, console).await,
            ParkedCommand::List { dropped: false } => list(&parked, console).await,
            ParkedCommand::Show(of) => show(&parked, of, console).await,
            ParkedCommand::Retry { all: true, .. } => retry_all(&parked, console).await,
            ParkedCommand::Retry { subscription, key, .. } => {
                let (subscription, key) =
                    (subscription.clone().unwrap_or_default(), key.clone().unwrap_or_default());
                let found = find(&parked, &KeyArgs { subscription, key }).await?;
                parked.request_retry(&found).await?;
                report_outcome(&parked, &found, Instant::now() + RETRY_TIMEOUT, console).await
            }
            ParkedCommand::Drop { of, reason } => {
                let found = find(&parked, of).await?;
                if let Some(why) = &found.dropped {
                    let what = format!("{} {} was dropped already: {why}", of.subscription, of.key);
                    return Err(
                        Failure::new(Exit::Failed, what).next("`gdmarket parked retry` retries it")
                    );
                }
                if !parked.drop_event(&found, reason.trim()).await? {
                    let what =
                        format!("{} {} has been released meanwhile", of.subscription, of.key);
                    return Err(Failure::new(Exit::Failed, what).next("see `gdmarket parked list`"));
                }
                report(console, &found, "dropped", &format!("dropped: {}", reason.trim()));
                Ok(())
            }
        }
    })
}

async fn find(parked: &ParkedWork, of: &KeyArgs) -> Result<ParkedKey, Failure> {
    let is_meant = |found: &ParkedKey| {
        is_name_of(&found.subscription, &of.subscription) && found.key == of.key
    };
    let mut found: Vec<_> =
        parked.list(Some(&of.key)).await?.into_iter().filter(is_meant).collect();
    // If several versions of a view match, the one of this program.
    let own = Replay::subscription(&of.subscription);
    let place = found.iter().position(|found| Some(&found.subscription) == own.as_ref());
    place
        .map(|place| found.swap_remove(place))
        .or_else(|| found.pop())
        .ok_or_else(|| not_parked(of))
}

fn not_parked(of: &KeyArgs) -> Failure {
    let what = format!("nothing is parked as {} {}", of.subscription, of.key);
    Failure::new(Exit::Failed, what).next("see `gdmarket parked list`")
}

fn report(console: Console, of: &ParkedKey, outcome: &str, note: &str) {
    if console.is_json() {
        Console::result_json(
            &json!({"subscription": of.subscription, "key": of.key, "outcome": outcome}),
        );
    } else {
        console.note(&format!("{} {}: {note}", of.subscription, of.key));
    }
}

async fn list(parked: &ParkedWork, console: Console) -> Result<(), Failure> {
    let all = parked.list(None).await?;
    if console.is_json() {
        for of in &all {
            Console::result_json(&json!(of));
        }
    } else if all.is_empty() {
        console.note("Nothing is parked.");
    } else {
        for of in &all {
            Console::result(&line(of));
        }
    }
    Ok(())
}

async fn list_dropped(parked: &ParkedWork, console: Console) -> Result<(), Failure> {
    let all = parked.dropped().await?;
    if all.is_empty() {
        console.note("Nothing was ever dropped.");
    }
    for of in &all {
        if console.is_json() {
            Console::result_json(&json!(of));
            continue;
        }
        let at = of.dropped_at.format("%Y-%m-%dT%H:%M:%SZ");
        let DroppedEvent { subscription, key, position, parked_for, reason, .. } = of;
        Console::result(&format!(
            "{subscription} {key}: dropped at {at}, position {position} ({parked_for}): {reason}"
        ));
    }
    Ok(())
}

/// A parked key on one line.
pub(super) fn line(of: &ParkedKey) -> String {
    let ParkedKey { subscription, key, state, queued, since, since_position, reason, .. } = of;
    let since = since.format("%Y-%m-%dT%H:%M:%SZ");
    let dropped = of.dropped.as_ref().map(|why| format!("; dropped: {why}")).unwrap_or_default();
    let waiting =
        if of.is_deadline { "a deadline".to_owned() } else { format!("{queued} waiting") };
    format!(
        "{subscription} {key}: {state}, {waiting}, since position {since_position} \
         ({since}), tried {}: {reason}{dropped}",
        if of.attempts == 1 { "once".to_owned() } else { format!("{} times", of.attempts) }
    )
}

async fn show(parked: &ParkedWork, of: &KeyArgs, console: Console) -> Result<(), Failure> {
    let found = find(parked, of).await?;
    let detail =
        parked.show(&found.subscription, &found.key).await?.ok_or_else(|| not_parked(of))?;
    if console.is_json() {
        Console::result_json(&json!(detail));
        return Ok(());
    }
    let ParkedKeyDetail { key, events } = &detail;
    Console::result(&line(key));
    for event in events {
        Console::result(&format!(
            "  position {} {} #{} {} version {}: {}",
            event.position,
            event.stream,
            event.sequence,
            event.event_type,
            event.version,
            event.data
        ));
    }
    Ok(())
}

/// Waits for a retry, and reports its outcome.
async fn report_outcome(
    parked: &ParkedWork,
    of: &ParkedKey,
    until: Instant,
    console: Console,
) -> Result<(), Failure> {
    match parked.outcome(of, until).await? {
        RetryOutcome::Unparked => {
            report(console, of, "goes-on", "released");
            Ok(())
        }
        RetryOutcome::ParkedAgain(now) => {
            let what = format!("{} {} stopped again: {}", of.subscription, of.key, now.reason);
            Err(Failure::new(Exit::Failed, what).next("see `gdmarket parked show`"))
        }
        RetryOutcome::Pending => {
            report(console, of, "asked", "requested; a server retries it as soon as one runs");
            Ok(())
        }
    }
}

async fn retry_all(parked: &ParkedWork, console: Console) -> Result<(), Failure> {
    let mut all = parked.list(None).await?;
    all.retain(|of| of.dropped.is_none());
    if all.is_empty() {
        console.note("Nothing is parked that wasn't dropped.");
    }
    retry_keys(parked, &all, console).await
}

/// Requests a retry of these keys, and reports the outcome of each.
pub(super) async fn retry_keys(
    parked: &ParkedWork,
    keys: &[ParkedKey],
    console: Console,
) -> Result<(), Failure> {
    for of in keys {
        parked.request_retry(of).await?;
    }
    let (until, mut failed) = (Instant::now() + RETRY_TIMEOUT, vec![]);
    for of in keys {
        if let Err(failure) = report_outcome(parked, of, until, console).await {
            failed.push(failure.message);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Failed, failed.join("\n"))) }
}
