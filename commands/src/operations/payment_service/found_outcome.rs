//! What an operator found out about a payment with the card company, where the gateway's answers can't be
//! relied on: it is recorded as the gateway's own outcome would be, on the operator's behalf.

use crate::command_id::process_command_id;
use crate::error::CommandError;
use crate::executor::{CommandMeta, CommandRequest, Executor, Precondition};
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{Actor, Payment, PaymentCommand, PaymentNo};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentFinding {
    /// The payment.
    pub payment_no: PaymentNo,
    /// What became of it.
    pub outcome: FoundOutcome,
    /// How the operator knows.
    pub reason: String,
}

/// How recording a finding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingDecision {
    /// The payment has this outcome.
    Recorded {
        /// Whether an event was written; else the payment already had the outcome.
        is_new: bool,
        /// How far the payment is now.
        progress: AttemptProgress,
    },
    /// The outcome can't have happened to a payment that is this far.
    DoesNotFit(AttemptProgress),
    /// No attempt of this number was started.
    NotStarted,
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
    const fn fits(self, progress: AttemptProgress) -> bool {
        match self {
            Self::Charged => true,
            Self::NotCharged => {
                matches!(
                    progress,
                    AttemptProgress::Pending | AttemptProgress::Unknown | AttemptProgress::Declined
                )
            }
            Self::Refunded => matches!(
                progress,
                AttemptProgress::Cancelling
                    | AttemptProgress::RefundRefused
                    | AttemptProgress::Cancelled
            ),
            Self::RefundRefused => {
                matches!(progress, AttemptProgress::Cancelling | AttemptProgress::RefundRefused)
            }
        }
    }
}

/// Records on an operator's behalf what became of a payment, and why the operator believes it. Repeating it changes
/// nothing.
pub(crate) async fn record_found_outcome(
    executor: &Executor,
    finding: &PaymentFinding,
    actor: Actor,
) -> Result<FindingDecision, CommandError> {
    let PaymentFinding { payment_no, outcome, reason } = finding;
    let number = payment_no.get();
    let payment = executor.fresh::<Payment>(number).await?;
    let Some(progress) = payment.progress() else { return Ok(FindingDecision::NotStarted) };
    if !outcome.fits(progress) {
        return Ok(FindingDecision::DoesNotFit(progress));
    }
    let command_id = process_command_id(executor.log_id(), "payment", number, outcome.fact());
    let meta = CommandMeta {
        command_id,
        correlation_id: command_id,
        causation: None,
        actor,
        traceparent: None,
        fingerprint: Vec::new(),
        precondition: Precondition::default(),
        keyed: false,
    };
    let command = outcome.command();
    let mut request = CommandRequest::<Payment>::new(number, &command, &meta);
    request.note = Some(reason);
    let done = executor.execute(request).await?;
    let Some(progress) = done.state.progress() else { return Ok(FindingDecision::NotStarted) };
    let is_new = !done.events.is_empty();
    // The gateway's own answer may have come in between.
    if !is_new && !outcome.fits(progress) {
        return Ok(FindingDecision::DoesNotFit(progress));
    }
    Ok(FindingDecision::Recorded { is_new, progress })
}
