//! The one call of `confirm` per attempt, and writing down what came of it. An outcome that can't be
//! written down is found out by settling.

use super::call::GatewayResult;
use super::{Attempted, LocalPayments, PAYMENT_UNAVAILABLE, PaymentAttempt};
use crate::error::CommandError;
use crate::executor::CommandMeta;
use crate::outside::Permit;
use crate::outside::{Charge, Confirmation, GatewayError};
use gdmarket_domain::PaymentCommand;
use std::time::Duration;
use tokio::time::Instant;

/// The pause before recording is tried again while the database is away.
const RECORD_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The longest reason that is recorded.
const LONGEST_REASON: usize = 64;

impl LocalPayments {
    /// Charges the attempt and records the outcome. Called once per attempt, by the task that wrote
    /// its `PaymentStarted`.
    pub(super) async fn confirm(
        &self,
        attempt: PaymentAttempt,
        permit: Permit,
        meta: &CommandMeta,
    ) -> Attempted {
        gdmarket_store::failpoint!("commands.before-confirm");
        let PaymentAttempt { payment_no, reservation_no, amount, .. } = attempt;
        let charge = Charge { payment_no, reservation_no, amount };
        let confirm = self.gateway.confirm(self.key(payment_no), &charge);
        let confirmed = self.call(permit, confirm).await.and_then(|answer| {
            self.matching(&attempt, &answer)?;
            Ok(answer)
        });
        gdmarket_store::failpoint!("commands.after-confirm");
        let (fact, command, attempted) = recorded(confirmed);
        let until = Instant::now() + self.options.call_limit;
        while let Err(error) = self.record(payment_no, fact, &command, meta).await {
            tracing::warn!(%error, %payment_no, fact, "recording a payment");
            let may_pass = matches!(
                error,
                CommandError::Unavailable { .. }
                    | CommandError::OutcomeUnknown { .. }
                    | CommandError::Conflict { .. }
            );
            if !may_pass || Instant::now() + RECORD_AGAIN_AFTER >= until {
                return Attempted::Unknown;
            }
            tokio::time::sleep(RECORD_AGAIN_AFTER).await;
        }
        attempted
    }
}

/// The fact's name, the fact, and the outcome for the renter.
fn recorded(confirmed: GatewayResult<Confirmation>) -> (&'static str, PaymentCommand, Attempted) {
    match confirmed {
        Ok(_) => ("approved", PaymentCommand::RecordApproved, Attempted::Approved),
        Err(GatewayError::Declined(code)) => {
            let code = reason(&code, "declined");
            let command = PaymentCommand::RecordDeclined { reason: code.clone() };
            ("declined", command, Attempted::Declined { code })
        }
        Err(GatewayError::Unreachable(_)) => {
            let reason = PAYMENT_UNAVAILABLE.to_owned();
            let command = PaymentCommand::RecordDeclined { reason };
            ("unsent", command, Attempted::Unreachable { retry_after: None })
        }
        Err(GatewayError::Unknown(_)) => {
            ("unknown", PaymentCommand::RecordUnknown, Attempted::Unknown)
        }
    }
}

/// The gateway's code in the form that events hold: short, and of plain characters, since it is foreign
/// text. `otherwise` replaces a code that is empty or means something else here.
pub(super) fn reason(code: &str, otherwise: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let code: String = code.chars().filter(plain).take(LONGEST_REASON).collect();
    if code.is_empty() || code == PAYMENT_UNAVAILABLE { otherwise.to_owned() } else { code }
}
