//! What a saga of either kind says of itself: its next steps, and the parts of its state that are shown.

use super::saga_key::SagaKey;
use super::step::SagaStep;
use chrono::{DateTime, Utc};
use gdmarket_domain::{ItemNo, PaymentNo, RentalPeriod};
use std::collections::BTreeMap;

/// A step of a saga, with the payment attempt that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextStep {
    pub(super) step: SagaStep,
    pub(super) payment_no: Option<PaymentNo>,
}

impl From<SagaStep> for NextStep {
    fn from(step: SagaStep) -> Self {
        Self { step, payment_no: None }
    }
}

/// The parts of a saga's state that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SagaParts {
    pub(super) key: SagaKey,
    pub(super) item_no: Option<ItemNo>,
    /// The name of its state; `None` where that isn't known.
    pub(super) state: Option<&'static str>,
    /// The end of the time to pay, while it runs.
    pub(super) pay_by: Option<DateTime<Utc>>,
    pub(super) period: Option<RentalPeriod>,
    /// The payment attempts, each with the name of its progress once it was started.
    pub(super) payments: BTreeMap<PaymentNo, Option<&'static str>>,
}
