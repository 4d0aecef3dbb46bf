//! `gdmarket payments`: records what an operator found out about a payment with the card company.

use super::{local_operator, with_store};
use crate::compose::use_cases;
use crate::config::Config;
use crate::output::confirmation::confirm;
use crate::output::{Console, Exit, Failure};
use clap::{Args, Subcommand, ValueEnum};
use gdmarket_app::{CommandError, FindingDecision, FoundOutcome, PaymentFinding, UseCaseError};
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{PaymentNo, Service, Services};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  gdmarket payments settle 7 --outcome charged --reason 'statement of 5 January'
  gdmarket payments settle 7 --outcome not-charged --reason 'card company, call 4711' --yes
  gdmarket payments settle 7 --outcome refunded --reason 'bank transfer of 6 January'
  gdmarket payments settle 7 --outcome refused --reason 'account closed'

Find the payments that need it with `gdmarket parked list` and GET /payments?status=RefundRefused.";

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// The arguments of `payments`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct PaymentsArgs {
    #[command(subcommand)]
    command: PaymentsCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum PaymentsCommand {
    /// Record the outcome of a payment that the gateway doesn't report, or reports wrongly. This moves no money; a
    /// running server continues from there.
    #[command(after_help = EXAMPLES)]
    Settle {
        /// The payment: its `paymentNo`.
        no: PaymentNo,
        /// What you found out with the card company.
        #[arg(long, value_enum)]
        outcome: OutcomeArg,
        /// How you know; it is kept with the event for good, so name no persons in it.
        #[arg(long)]
        reason: String,
        /// Don't ask first.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutcomeArg {
    /// The money was taken. Its refund starts if the reservation needs no payment any more.
    Charged,
    /// The money was not taken: the renter may pay again.
    NotCharged,
    /// The money is back with the renter, in whatever way.
    Refunded,
    /// The gateway definitely doesn't refund the money, which stays owed.
    Refused,
}

impl OutcomeArg {
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
    require_payments(config.services.own)?;
    let PaymentsCommand::Settle { no, outcome, reason, yes } = args.command;
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
        let what = format!("--reason: say how you know, in 1 to {MAX_REASON_CHARS} characters");
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
    let finding =
        PaymentFinding { payment_no: no, outcome: outcome.found(), reason: reason.to_owned() };
    with_store(config, async |store| {
        let settled = use_cases(config, store)?.settle_payment(finding, local_operator()).await;
        match settled.map_err(not_settled)? {
            FindingDecision::Recorded { is_new, progress } => {
                let status = status(progress);
                report(no, outcome, Recorded { is_new, status }, console);
                Ok(())
            }
            FindingDecision::NotStarted => Err(not_started(no)),
            FindingDecision::DoesNotFit(progress) => Err(does_not_fit(no, progress)),
        }
    })
}

/// Refuses a configuration without the payment service, whose log payments are in.
fn require_payments(services: Services) -> Result<(), Failure> {
    if services.contains(Service::Payment) {
        return Ok(());
    }
    let what = format!("payments are in the log of the payment service, not in that of {services}");
    Err(Failure::new(Exit::Usage, what).next("use the configuration of the payment service"))
}

fn not_started(no: PaymentNo) -> Failure {
    Failure::new(Exit::Failed, format!("no payment {no} was started")).next(format!(
        "see `gdmarket state payment {no}`; a request to pay that was never started is settled by the server"
    ))
}

fn does_not_fit(no: PaymentNo, progress: AttemptProgress) -> Failure {
    let message = format!("payment {no} is {progress:?}, which this outcome doesn't fit");
    Failure::new(Exit::Failed, message)
        .next(format!("see what happened to it: gdmarket events list --payment {no}"))
}

fn not_settled(error: UseCaseError) -> Failure {
    match error {
        UseCaseError::Query(error) | UseCaseError::AfterWrite(error) => error.into(),
        UseCaseError::Command(error) => not_recorded(&error),
    }
}

fn not_recorded(error: &CommandError) -> Failure {
    let message = error.to_string();
    match error {
        CommandError::NewerEvent => {
            Failure::new(Exit::Unreadable, message).next("install the newer gdmarket")
        }
        CommandError::Broken(_) | CommandError::Damaged(_) => {
            Failure::damage(message).next("see what can't be read: gdmarket check")
        }
        _ => Failure::new(Exit::Unreachable, message)
            .next("type the same again: what was recorded stays, and isn't recorded twice"),
    }
}

/// What is recorded of a payment.
#[derive(Clone, Copy)]
struct Recorded {
    /// Whether it was recorded by this command.
    is_new: bool,
    /// The payment's status now.
    status: &'static str,
}

fn report(no: PaymentNo, outcome: OutcomeArg, recorded: Recorded, console: Console) {
    let Recorded { is_new, status } = recorded;
    let name = outcome.name();
    if console.is_json() {
        Console::result_json(&json!({
            "payment": no.get(), "outcome": name, "recorded": is_new, "status": status,
        }));
    } else if is_new {
        console.note(&format!("Payment {no} is recorded as {name}: it is {status} now."));
    } else {
        console.note(&format!("Nothing to record: payment {no} is {status} already."));
    }
}

/// The status as `/payments` shows it.
const fn status(progress: AttemptProgress) -> &'static str {
    match progress {
        AttemptProgress::Pending | AttemptProgress::Unknown => "Pending",
        AttemptProgress::Approved => "Approved",
        AttemptProgress::Declined => "Declined",
        AttemptProgress::Cancelling => "Refunding",
        AttemptProgress::RefundRefused => "RefundRefused",
        AttemptProgress::Cancelled => "Cancelled",
    }
}
