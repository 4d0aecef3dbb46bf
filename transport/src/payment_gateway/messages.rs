//! What is sent to the provider and what it answers, as JSON.

use gdmarket_commands::Charge;
use gdmarket_domain::{Money, PaymentNo};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The only currency of the market.
pub(super) const CURRENCY: &str = "KRW";
/// What an order's id begins with; the number of the payment follows.
const ORDER: &str = "gdmarket-";

/// What is to be charged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProviderOrder {
    order_id: String,
    order_name: String,
    total_amount: Money,
    currency: &'static str,
}

impl ProviderOrder {
    pub(super) fn of(charge: &Charge) -> Self {
        Self {
            order_id: format!("{ORDER}{}", charge.payment_no),
            order_name: format!("reservation {}", charge.reservation_no),
            total_amount: charge.amount,
            currency: CURRENCY,
        }
    }
}

/// Why money is given back.
#[derive(Debug, Serialize)]
pub(super) struct ProviderCancellation {
    reason: &'static str,
}

impl ProviderCancellation {
    /// All of it goes back.
    pub(super) const fn whole() -> Self {
        Self { reason: "the reservation is cancelled" }
    }
}

/// A payment as the provider knows it. Fields that aren't named here are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProviderPayment {
    pub(super) payment_id: Uuid,
    pub(super) order_id: String,
    pub(super) status: ProviderStatus,
    pub(super) currency: String,
    pub(super) total_amount: Money,
    pub(super) cancelled_amount: Money,
}

impl ProviderPayment {
    /// The number of the payment in its order's id.
    pub(super) fn payment_no(&self) -> Option<PaymentNo> {
        let number = self.order_id.strip_prefix(ORDER)?.parse().ok()?;
        PaymentNo::new(number).ok()
    }
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ProviderStatus {
    /// The money was taken.
    Paid,
    /// It was taken and given back.
    Cancelled,
    /// It was not taken, and won't be.
    Failed,
    /// A status that this program doesn't know, or one in which the payment doesn't stay.
    #[serde(other)]
    Unsettled,
}

/// Why a call was not done, in the provider's own form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ProviderRefusal {
    pub(super) code: String,
}
