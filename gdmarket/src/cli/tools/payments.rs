//! `gdmarket payments`: what an operator found out about a payment with the card company.

use super::with_store;
use crate::config::Config;
use crate::output::confirmation::confirm;
use crate::output::{Console, Exit, Failure};
use clap::{Args, Subcommand, ValueEnum};
use gdmarket_commands::{
    CommandError, Finding, FoundOutcome, NotRecorded, OutcomeRecorded, record_found_outcome,
};
use gdmarket_domain::PaymentNo;
use gdmarket_domain::payment::Progress;
use gdmarket_projections::Stuck;
use gdmarket_store::Store;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  gdmarket payments settle 7 --outcome charged --reason 'statement of 5 January'
  gdmarket payments settle 7 --outcome not-charged --reason 'card company, call 4711' --yes
  gdmarket payments settle 7 --outcome refunded --reason 'bank transfer of 6 January'
  gdmarket payments settle 7 --outcome refused --reason 'account closed'

Find the payments that need it with `gdmarket parked list` and GET /payments?status=RefundRefused.";

/// Who records it, as long as there are no log-ins.
const OPERATOR: &str = "local";

/// The longest reason that is kept.
const LONGEST_REASON: usize = 500;

/// What is wanted of a payment.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct PaymentsArgs {
    #[command(subcommand)]
    command: PaymentsCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum PaymentsCommand {
    /// Record what became of a payment whose outcome the gateway doesn't say, or says wrongly. No money is
    /// moved by it; a running server continues from there.
    #[command(after_help = EXAMPLES)]
    Settle {
        /// The payment: its `paymentNo`.
        no: PaymentNo,
        /// What you found out with the card company.
        #[arg(long, value_enum)]
        outcome: Outcome,
        /// How you know; it is kept with the event for good, so name no persons in it.
        #[arg(long)]
        reason: String,
        /// Don't ask first.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Outcome {
    /// The money was taken. Where the reservation doesn't want it any more, its refund starts.
    Charged,
    /// The money was not taken: the renter may pay again.
    NotCharged,
    /// The money is back with the renter, in whatever way.
    Refunded,
    /// The money doesn't go back by way of the gateway; it stays owed.
    Refused,
}

impl Outcome {
    const fn found(self) -> FoundOutcome {
        match self {
            Self::Charged => FoundOutcome::Charged,
            Self::NotCharged => FoundOutcome::NotCharged,
            Self::Refunded => FoundOutcome::Refunded,
            Self::Refused => FoundOutcome::RefundRefused,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Charged => "charged",
            Self::NotCharged => "not-charged",
            Self::Refunded => "refunded",
            Self::Refused => "refused",
        }
    }
}

pub(in crate::cli) fn run(
    args: PaymentsArgs,
    config: &Config,
    console: Console,
) -> Result<(), Failure> {
    let PaymentsCommand::Settle { no, outcome, reason, yes } = args.command;
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        let what = format!("--reason: say how you know, in 1 to {LONGEST_REASON} characters");
        return Err(Failure::new(Exit::Usage, what));
    }
    let name = outcome.name();
    if !yes {
        confirm(
            &format!("Record that payment {no} was {name}? It can't be taken back."),
            &format!("payment {no} is to be recorded as {name}"),
            format!("nothing was recorded about payment {no}"),
        )?;
    }
    with_store(config, async |store| {
        let finding =
            Finding { payment_no: no, outcome: outcome.found(), operator: OPERATOR, reason };
        let recorded = record_found_outcome(store.clone(), finding);
        let recorded = recorded.await.map_err(|error| failure(no, &error))?;
        release(store, no, (outcome, reason)).await?;
        say(no, outcome, recorded, console);
        Ok(())
    })
}

/// What waited for the outcome waits no longer: a question to the gateway is given up, and a refund that
/// was parked is found done when it is tried again.
async fn release(
    store: Store,
    no: PaymentNo,
    (outcome, reason): (Outcome, &str),
) -> Result<(), Failure> {
    let stuck = Stuck::new(store);
    for of in stuck.list(Some(&format!("payment/{no}"))).await? {
        if of.is_deadline {
            stuck.give_up(&of, reason).await?;
        } else if outcome == Outcome::Refunded && !of.is_view {
            stuck.ask(&of).await?;
        }
    }
    Ok(())
}

fn failure(no: PaymentNo, error: &NotRecorded) -> Failure {
    let message = error.to_string();
    match error {
        NotRecorded::NotBegun(_) => Failure::new(Exit::Failed, message).next(format!(
            "see `gdmarket state payment {no}`; a request to pay that never began is settled by the server"
        )),
        NotRecorded::DoesNotFit { .. } => Failure::new(Exit::Failed, message)
            .next(format!("see what happened to it: gdmarket events list --payment {no}")),
        NotRecorded::Command(CommandError::NewerEvent) => {
            Failure::new(Exit::Unreadable, message).next("install the newer gdmarket")
        }
        NotRecorded::Command(CommandError::Broken(_) | CommandError::Damaged(_)) => {
            Failure::damage(message).next("see what can't be read: gdmarket check")
        }
        NotRecorded::Command(_) => Failure::new(Exit::Unreachable, message)
            .next("type the same again: what was recorded stays, and isn't recorded twice"),
    }
}

fn say(no: PaymentNo, outcome: Outcome, recorded: OutcomeRecorded, console: Console) {
    let OutcomeRecorded { is_new, progress } = recorded;
    let name = outcome.name();
    if console.is_json() {
        Console::result_json(&json!({
            "payment": no.get(), "outcome": name, "recorded": is_new, "status": status(progress),
        }));
    } else if is_new {
        console
            .note(&format!("Payment {no} is recorded as {name}: it is {} now.", status(progress)));
    } else {
        console.note(&format!("Nothing to record: payment {no} is {} already.", status(progress)));
    }
}

/// As `/payments` shows it.
const fn status(progress: Progress) -> &'static str {
    match progress {
        Progress::Pending | Progress::Unknown => "Pending",
        Progress::Approved => "Approved",
        Progress::Declined => "Declined",
        Progress::Cancelling => "Refunding",
        Progress::RefundRefused => "RefundRefused",
        Progress::Cancelled => "Cancelled",
    }
}
