//! A refund: begin it, ask the gateway, write down that the money went back. Repeated as a whole
//! until the last is done; the gateway gives nothing back twice under one key.

use super::LocalPayments;
use crate::error::CommandError;
use crate::meta::CommandMeta;
use crate::payment_gateway::GatewayError;
use gdmarket_domain::payment::Progress;
use gdmarket_domain::{PaymentCommand, PaymentNo};
use std::borrow::Cow;

/// The gateway definitely refuses to give the money back: a person must look.
const REFUND_REFUSED: &str = "refund-refused";

impl LocalPayments {
    /// Gives the money of this attempt back.
    pub(crate) async fn refund(
        &self,
        payment_no: PaymentNo,
        meta: &CommandMeta,
    ) -> Result<(), CommandError> {
        let begun = self.record(payment_no, "refund", &PaymentCommand::Cancel, meta).await?;
        if begun.state.progress() == Some(Progress::Cancelled) {
            return Ok(());
        }
        gdmarket_store::failpoint!("commands.before-refund");
        match self.ask(self.gateway.cancel(self.key(payment_no))).await? {
            Ok(()) => {}
            Err(GatewayError::Declined(code)) => {
                tracing::error!(%payment_no, code, "the gateway refuses a refund");
                let code = Cow::Borrowed(REFUND_REFUSED);
                return Err(CommandError::Refused { code, replayed: false });
            }
            Err(GatewayError::Unknown(_) | GatewayError::Unreachable(_)) => {
                return Err(self.unreachable());
            }
        }
        gdmarket_store::failpoint!("commands.after-refund");
        self.record(payment_no, "refunded", &PaymentCommand::RecordCancelled, meta).await?;
        Ok(())
    }
}
