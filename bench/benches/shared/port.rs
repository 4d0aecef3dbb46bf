//! A port that drops the process managers' commands: the measured commands cause none that matters, and
//! their cost would not belong to any measured command.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gdmarket_domain::PaymentNo;
use gdmarket_domain::payment::StartedPayment;
use gdmarket_projections::{CommandContext, CommandPort, Handled, OutgoingCommand, PortError};

/// Answers every command with success.
pub(crate) struct QuietPort;

#[async_trait]
impl CommandPort for QuietPort {
    async fn execute(&self, _outgoing: OutgoingCommand) -> Result<Handled, PortError> {
        Ok(Handled::Done)
    }

    async fn settle_payment(
        &self,
        _no: PaymentNo,
        _requested: Option<StartedPayment>,
        _context: CommandContext,
    ) -> Result<Handled, PortError> {
        Ok(Handled::Done)
    }

    async fn refund_payment(
        &self,
        _no: PaymentNo,
        _context: CommandContext,
    ) -> Result<Handled, PortError> {
        Ok(Handled::Done)
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}
