//! The decisions of one payment attempt, a row of the table in `tests/payment.rs` each.
//!
//! An outcome that is known already stays: a second one changes nothing, except that an approval
//! outweighs a decline, since the money is gone and must come back.

use super::{Attempt, Payment, PaymentCommand, PaymentError, PaymentEvent, Progress};
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
                    Progress::Approved
                        | Progress::Cancelling
                        | Progress::RefundRefused
                        | Progress::Cancelled
                )
            )
    }
}

fn record_approved(attempt: Attempt, progress: Progress) -> Decision<Payment> {
    let Attempt { payment_no, reservation_no, .. } = attempt;
    match progress {
        Progress::Pending | Progress::Unknown | Progress::Declined => {
            Ok(vec![PaymentEvent::Approved { payment_no, reservation_no }])
        }
        Progress::Approved
        | Progress::Cancelling
        | Progress::RefundRefused
        | Progress::Cancelled => no_change(),
    }
}

fn record_declined(attempt: Attempt, progress: Progress, reason: &str) -> Decision<Payment> {
    let Attempt { payment_no, reservation_no, .. } = attempt;
    match progress {
        Progress::Pending | Progress::Unknown => Ok(vec![PaymentEvent::Declined {
            payment_no,
            reservation_no,
            reason: reason.to_owned(),
        }]),
        Progress::Approved
        | Progress::Declined
        | Progress::Cancelling
        | Progress::RefundRefused
        | Progress::Cancelled => no_change(),
    }
}

fn record_unknown(attempt: Attempt, progress: Progress) -> Decision<Payment> {
    let Attempt { payment_no, reservation_no, .. } = attempt;
    match progress {
        Progress::Pending => Ok(vec![PaymentEvent::OutcomeUnknown { payment_no, reservation_no }]),
        Progress::Unknown
        | Progress::Approved
        | Progress::Declined
        | Progress::Cancelling
        | Progress::RefundRefused
        | Progress::Cancelled => no_change(),
    }
}

fn cancel(attempt: Attempt, progress: Progress) -> Decision<Payment> {
    let Attempt { payment_no, reservation_no, .. } = attempt;
    match progress {
        Progress::Approved => {
            Ok(vec![PaymentEvent::CancellationStarted { payment_no, reservation_no }])
        }
        Progress::Cancelling | Progress::RefundRefused | Progress::Cancelled => no_change(),
        Progress::Pending | Progress::Unknown | Progress::Declined => Err(PaymentError::OutOfOrder),
    }
}

/// The first refusal is recorded; a retry that is refused again adds nothing.
fn record_refund_refused(attempt: Attempt, progress: Progress, reason: &str) -> Decision<Payment> {
    let Attempt { payment_no, reservation_no, .. } = attempt;
    match progress {
        Progress::Cancelling => Ok(vec![PaymentEvent::RefundRefused {
            payment_no,
            reservation_no,
            reason: reason.to_owned(),
        }]),
        Progress::RefundRefused | Progress::Cancelled => no_change(),
        Progress::Pending | Progress::Unknown | Progress::Approved | Progress::Declined => {
            Err(PaymentError::OutOfOrder)
        }
    }
}

fn record_cancelled(attempt: Attempt, progress: Progress) -> Decision<Payment> {
    let Attempt { payment_no, reservation_no, .. } = attempt;
    match progress {
        Progress::Cancelling | Progress::RefundRefused => {
            Ok(vec![PaymentEvent::Cancelled { payment_no, reservation_no }])
        }
        Progress::Cancelled => no_change(),
        Progress::Pending | Progress::Unknown | Progress::Approved | Progress::Declined => {
            Err(PaymentError::OutOfOrder)
        }
    }
}
