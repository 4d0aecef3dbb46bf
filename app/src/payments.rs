//! The use cases of operators about payments.

use crate::context::operator_only;
use crate::error::UseCaseError;
use crate::use_cases::UseCases;
use gdmarket_commands::{FindingDecision, FoundOutcome, PaymentFinding};
use gdmarket_domain::Actor;
use gdmarket_projections::QueryError;

impl UseCases {
    /// Records what an operator found out about a payment with the card company. Work of the market's processes
    /// that is parked until this outcome is known continues.
    pub async fn settle_payment(
        &self,
        finding: PaymentFinding,
        actor: Actor,
    ) -> Result<FindingDecision, UseCaseError> {
        operator_only(&actor)?;
        let decision = self.commands.record_found_outcome(finding.clone(), actor).await?;
        if let FindingDecision::Recorded { .. } = decision {
            self.release(&finding).await.map_err(UseCaseError::AfterWrite)?;
        }
        Ok(decision)
    }

    /// Releases the work that is parked because of this payment: a query to the gateway is dropped, and a parked refund is
    /// tried again, which finds it done.
    async fn release(&self, finding: &PaymentFinding) -> Result<(), QueryError> {
        let PaymentFinding { payment_no, outcome, reason } = finding;
        for parked in self.parked.list(Some(&format!("payment/{payment_no}"))).await? {
            if parked.is_deadline {
                self.parked.drop_event(&parked, reason).await?;
            } else if *outcome == FoundOutcome::Refunded && !parked.is_view {
                self.parked.request_retry(&parked).await?;
            }
        }
        Ok(())
    }
}
