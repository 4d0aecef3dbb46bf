//! What an operator found out about a payment with the card company, where the gateway's answers can't be
//! relied on: it is recorded as the gateway's own outcome would be, on the operator's behalf.

use crate::command_id::process_command_id;
use crate::error::CommandError;
use crate::executor::{CommandMeta, Executor, Precondition, Request};
use crate::options::CommandOptions;
use gdmarket_domain::payment::Progress;
use gdmarket_domain::{Actor, Payment, PaymentCommand, PaymentNo};
use gdmarket_store::Store;

/// What an operator found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundOutcome {
    /// The money was taken.
    Charged,
    /// The money was not taken.
    NotCharged,
    /// The money went back.
    Refunded,
    /// The money definitely doesn't go back by way of the gateway.
    RefundRefused,
}

/// What an operator found out about one payment.
#[derive(Debug, Clone, Copy)]
pub struct Finding<'a> {
    /// The payment.
    pub payment_no: PaymentNo,
    /// What became of it.
    pub outcome: FoundOutcome,
    /// The operator's name.
    pub operator: &'a str,
    /// How the operator knows.
    pub reason: &'a str,
}

/// What recording it led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeRecorded {
    /// Whether anything was written; else the payment already had this outcome.
    pub is_new: bool,
    /// How far the payment is now.
    pub progress: Progress,
}

/// Why an outcome isn't recorded.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    /// No attempt of this number was started.
    #[error("no payment {0} was started")]
    NotBegun(PaymentNo),
    /// It isn't what can have happened to a payment that is this far.
    #[error("payment {number} is {progress:?}, which this outcome doesn't fit")]
    DoesNotFit {
        /// The attempt.
        number: PaymentNo,
        /// How far it is.
        progress: Progress,
    },
    /// The log couldn't be read or written.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl FoundOutcome {
    /// The name of the fact: part of the command's id, so that it is recorded once.
    const fn fact(self) -> &'static str {
        match self {
            Self::Charged => "operator/charged",
            Self::NotCharged => "operator/not-charged",
            Self::Refunded => "operator/refunded",
            Self::RefundRefused => "operator/refund-refused",
        }
    }

    fn command(self) -> PaymentCommand {
        match self {
            Self::Charged => PaymentCommand::RecordApproved,
            Self::NotCharged => PaymentCommand::RecordDeclined { reason: "not-charged".to_owned() },
            Self::Refunded => PaymentCommand::RecordCancelled,
            Self::RefundRefused => {
                PaymentCommand::RecordRefundRefused { reason: "refund-refused".to_owned() }
            }
        }
    }

    /// Whether a payment that is this far has, or can still have, this outcome.
    const fn fits(self, progress: Progress) -> bool {
        match self {
            Self::Charged => true,
            Self::NotCharged => {
                matches!(progress, Progress::Pending | Progress::Unknown | Progress::Declined)
            }
            Self::Refunded => matches!(
                progress,
                Progress::Cancelling | Progress::RefundRefused | Progress::Cancelled
            ),
            Self::RefundRefused => {
                matches!(progress, Progress::Cancelling | Progress::RefundRefused)
            }
        }
    }
}

/// Records on an operator's behalf what became of a payment, and why the operator believes it.
///
/// Repeating it changes nothing. The market's processes continue from the event as from the gateway's own
/// answer, wherever they run.
pub async fn record_found_outcome(
    store: Store,
    finding: Finding<'_>,
) -> Result<OutcomeRecorded, NotRecorded> {
    let Finding { payment_no: number, outcome: found, .. } = finding;
    let options = CommandOptions::default();
    let executor = Executor::new(store, options.retry, options.retry_after);
    let payment = executor.fresh::<Payment>(number.get()).await?;
    let progress = payment.progress().ok_or(NotRecorded::NotBegun(number))?;
    if !found.fits(progress) {
        return Err(NotRecorded::DoesNotFit { number, progress });
    }
    let meta = meta(&executor, &finding);
    let command = found.command();
    let mut request = Request::<Payment>::new(number.get(), &command, &meta);
    request.note = Some(finding.reason);
    let done = executor.execute(request).await?;
    let progress = done.state.progress().ok_or(NotRecorded::NotBegun(number))?;
    // The gateway's own answer may have come in between.
    if !found.fits(progress) && done.events.is_empty() {
        return Err(NotRecorded::DoesNotFit { number, progress });
    }
    Ok(OutcomeRecorded { is_new: !done.events.is_empty(), progress })
}

fn meta(executor: &Executor, finding: &Finding<'_>) -> CommandMeta {
    let Finding { payment_no, outcome, operator, .. } = *finding;
    let log_id = executor.log_id();
    let command_id = process_command_id(log_id, "payment", payment_no.get(), outcome.fact());
    CommandMeta {
        command_id,
        correlation_id: command_id,
        causation: None,
        actor: Actor::Operator(operator.to_owned()),
        traceparent: None,
        fingerprint: Vec::new(),
        precondition: Precondition::default(),
        keyed: false,
    }
}
