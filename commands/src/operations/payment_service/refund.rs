//! A refund: start it, call the gateway, record its answer. It is repeated as a whole until the money
//! is back; the gateway gives nothing back twice under one key.
//!
//! A definite refusal is recorded, so that the payment shows it, and returned, so that the caller
//! parks the refund and alerts the operator. A retry calls the gateway again.

use super::LocalPayments;
use super::charge::reason;
use crate::error::CommandError;
use crate::executor::CommandMeta;
use crate::outside::GatewayError;
use gdmarket_domain::payment::AttemptProgress;
use gdmarket_domain::{PaymentCommand, PaymentNo};
use std::borrow::Cow;

/// The gateway definitely refuses to give the money back: it needs manual action.
const REFUND_REFUSED: &str = "refund-refused";

impl LocalPayments {
    /// Gives the money of this attempt back.
    pub(crate) async fn refund(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<(), CommandError> {
        let started = self.record(payment_no, "refund", &PaymentCommand::Cancel, meta).await?;
        if started.state.progress() == Some(AttemptProgress::Cancelled) {
            return Ok(());
        }
        gdmarket_store::failpoint!("commands.before-refund");
        match self.ask(self.gateway.cancel(self.key(payment_no))).await? {
            Ok(answer) => self.matching_or_refused(started.state.attempt(), &answer)?,
            Err(GatewayError::Declined(code)) => {
                return Err(self.refund_refused(payment_no, &code, meta).await?);
            }
            Err(GatewayError::Unknown(_) | GatewayError::Unreachable(_)) => {
                return Err(self.unreachable());
            }
        }
        gdmarket_store::failpoint!("commands.after-refund");
        self.record(payment_no, "refunded", &PaymentCommand::RecordCancelled, meta).await?;
        Ok(())
    }

    /// Records that the gateway refuses; the refusal that the caller parks.
    async fn refund_refused(
        &self,
        payment_no: PaymentNo,
        code: &str,
        meta: &CommandMeta,
    ) -> Result<CommandError, CommandError> {
        let reason = reason(code, REFUND_REFUSED);
        tracing::error!(
            %payment_no, reason,
            "the gateway refuses a refund: clear it up with the gateway, then run `gdmarket parked retry`, or \
             `gdmarket payments settle` once the money is back"
        );
        metrics::counter!("gdmarket_payment_refunds_refused_total").increment(1);
        let refused = PaymentCommand::RecordRefundRefused { reason };
        self.record(payment_no, REFUND_REFUSED, &refused, meta).await?;
        Ok(CommandError::Refused { code: Cow::Borrowed(REFUND_REFUSED), replayed: false })
    }
}
