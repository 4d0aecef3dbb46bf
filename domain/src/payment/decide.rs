//! The decisions of one payment attempt, a row of the table in `tests/payment.rs` each.
//!
//! An outcome that is known already stays: a second one changes nothing, except that an approval
//! outweighs a decline, since the money is gone and must come back.

use super::{AttemptProgress, Payment, PaymentCommand, PaymentError, PaymentEvent, StartedPayment};
use crate::actor::Actor;
use crate::decider::{Decision, no_change};

pub(super) fn decide(payment: &Payment, command: &PaymentCommand) -> Decision<Payment> {
    let started = payment.attempt().zip(payment.progress());
    if let PaymentCommand::Start { payment_no, reservation_no, item_no, amount } = *command {
        return if started.is_some() {
            no_change()
        } else {
            Ok(vec![PaymentEvent::Started { payment_no, reservation_no, item_no, amount }])
        };
    }
    let (attempt, progress) = started.ok_or(PaymentError::OutOfOrder)?;
    match command {
        PaymentCommand::Start { .. } => no_change(),
        PaymentCommand::RecordApproved => record_approved(*attempt, progress),
        PaymentCommand::RecordDeclined { reason } => record_declined(*attempt, progress, reason),
        PaymentCommand::RecordUnknown => record_unknown(*attempt, progress),
        PaymentCommand::Cancel => cancel(*attempt, progress),
        PaymentCommand::RecordRefundRefused { reason } => {
            record_refund_refused(*attempt, progress, reason)
        }
        PaymentCommand::RecordCancelled => record_cancelled(*attempt, progress),
    }
}

/// An attempt is started through its reservation alone, which checks who pays.
pub(super) fn permits(_payment: &Payment, actor: &Actor, command: &PaymentCommand) -> bool {
    match command {
        PaymentCommand::Start { .. } => true,
        PaymentCommand::RecordApproved
        | PaymentCommand::RecordDeclined { .. }
        | PaymentCommand::RecordUnknown
        | PaymentCommand::Cancel
        | PaymentCommand::RecordRefundRefused { .. }
        | PaymentCommand::RecordCancelled => actor.acts_for_anyone(),
    }
}

impl Payment {
    /// Whether this fact contradicts what the gateway answered before. It changes nothing, and the
    /// operator should be alerted.
    pub fn contradicts(&self, command: &PaymentCommand) -> bool {
        matches!(command, PaymentCommand::RecordDeclined { .. })
            && matches!(
                self.progress(),
                Some(
                    AttemptProgress::Approved
                        | AttemptProgress::Cancelling
                        | AttemptProgress::RefundRefused
                        | AttemptProgress::Cancelled
                )
            )
    }
}

fn record_approved(attempt: StartedPayment, progress: AttemptProgress) -> Decision<Payment> {
    let StartedPayment { payment_no, reservation_no, .. } = attempt;
    match progress {
        AttemptProgress::Pending | AttemptProgress::Unknown | AttemptProgress::Declined => {
            Ok(vec![PaymentEvent::Approved { payment_no, reservation_no }])
        }
        AttemptProgress::Approved
        | AttemptProgress::Cancelling
        | AttemptProgress::RefundRefused
        | AttemptProgress::Cancelled => no_change(),
    }
}

fn record_declined(
    attempt: StartedPayment,
    progress: AttemptProgress,
    reason: &str,
) -> Decision<Payment> {
    let StartedPayment { payment_no, reservation_no, .. } = attempt;
    match progress {
        AttemptProgress::Pending | AttemptProgress::Unknown => Ok(vec![PaymentEvent::Declined {
            payment_no,
            reservation_no,
            reason: reason.to_owned(),
        }]),
        AttemptProgress::Approved
        | AttemptProgress::Declined
        | AttemptProgress::Cancelling
        | AttemptProgress::RefundRefused
        | AttemptProgress::Cancelled => no_change(),
    }
}

fn record_unknown(attempt: StartedPayment, progress: AttemptProgress) -> Decision<Payment> {
    let StartedPayment { payment_no, reservation_no, .. } = attempt;
    match progress {
        AttemptProgress::Pending => {
            Ok(vec![PaymentEvent::OutcomeUnknown { payment_no, reservation_no }])
        }
        AttemptProgress::Unknown
        | AttemptProgress::Approved
        | AttemptProgress::Declined
        | AttemptProgress::Cancelling
        | AttemptProgress::RefundRefused
        | AttemptProgress::Cancelled => no_change(),
    }
}

fn cancel(attempt: StartedPayment, progress: AttemptProgress) -> Decision<Payment> {
    let StartedPayment { payment_no, reservation_no, .. } = attempt;
    match progress {
        AttemptProgress::Approved => {
            Ok(vec![PaymentEvent::CancellationStarted { payment_no, reservation_no }])
        }
        AttemptProgress::Cancelling
        | AttemptProgress::RefundRefused
        | AttemptProgress::Cancelled => no_change(),
        AttemptProgress::Pending | AttemptProgress::Unknown | AttemptProgress::Declined => {
            Err(PaymentError::OutOfOrder)
        }
    }
}

/// The first refusal is recorded; a retry that is refused again adds nothing.
fn record_refund_refused(
    attempt: StartedPayment,
    progress: AttemptProgress,
    reason: &str,
) -> Decision<Payment> {
    let StartedPayment { payment_no, reservation_no, .. } = attempt;
    match progress {
        AttemptProgress::Cancelling => Ok(vec![PaymentEvent::RefundRefused {
            payment_no,
            reservation_no,
            reason: reason.to_owned(),
        }]),
        AttemptProgress::RefundRefused | AttemptProgress::Cancelled => no_change(),
        AttemptProgress::Pending
        | AttemptProgress::Unknown
        | AttemptProgress::Approved
        | AttemptProgress::Declined => Err(PaymentError::OutOfOrder),
    }
}

fn record_cancelled(attempt: StartedPayment, progress: AttemptProgress) -> Decision<Payment> {
    let StartedPayment { payment_no, reservation_no, .. } = attempt;
    match progress {
        AttemptProgress::Cancelling | AttemptProgress::RefundRefused => {
            Ok(vec![PaymentEvent::Cancelled { payment_no, reservation_no }])
        }
        AttemptProgress::Cancelled => no_change(),
        AttemptProgress::Pending
        | AttemptProgress::Unknown
        | AttemptProgress::Approved
        | AttemptProgress::Declined => Err(PaymentError::OutOfOrder),
    }
}
