//! The state of one payment attempt, folded from its events; no rules here.

use super::PaymentEvent;
use crate::ids::{ItemNo, PaymentNo, ReservationNo};
use crate::money::Money;
use serde::{Deserialize, Serialize};

/// One attempt to pay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    attempt: Option<StartedPayment>,
    progress: AttemptProgress,
}

/// What is being paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedPayment {
    /// The attempt's own number; the gateway's key is made from it.
    pub payment_no: PaymentNo,
    /// The reservation that is paid.
    pub reservation_no: ReservationNo,
    /// The item that is reserved.
    pub item_no: ItemNo,
    /// What the gateway charges.
    pub amount: Money,
}

/// How far the attempt has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptProgress {
    /// Started, or not even that while there is no attempt; no outcome.
    #[default]
    Pending,
    /// The gateway gave no answer in time.
    Unknown,
    /// The money was taken.
    Approved,
    /// The money was not taken.
    Declined,
    /// A refund is in flight.
    Cancelling,
    /// The gateway definitely refused the refund; the refund may be tried again.
    RefundRefused,
    /// The money went back.
    Cancelled,
}

impl Payment {
    #[expect(clippy::needless_pass_by_value, reason = "the same signature for every aggregate")]
    pub(super) fn evolve(&mut self, event: PaymentEvent) {
        self.progress = match event {
            PaymentEvent::Started { payment_no, reservation_no, item_no, amount } => {
                self.attempt = Some(StartedPayment { payment_no, reservation_no, item_no, amount });
                AttemptProgress::Pending
            }
            PaymentEvent::Approved { .. } => AttemptProgress::Approved,
            PaymentEvent::Declined { .. } => AttemptProgress::Declined,
            PaymentEvent::OutcomeUnknown { .. } => AttemptProgress::Unknown,
            PaymentEvent::CancellationStarted { .. } => AttemptProgress::Cancelling,
            PaymentEvent::RefundRefused { .. } => AttemptProgress::RefundRefused,
            PaymentEvent::Cancelled { .. } => AttemptProgress::Cancelled,
        };
    }

    /// What is being paid, once the attempt was started.
    pub const fn attempt(&self) -> Option<&StartedPayment> {
        self.attempt.as_ref()
    }

    /// How far it has come; `None` while it wasn't started.
    pub fn progress(&self) -> Option<AttemptProgress> {
        self.attempt.map(|_| self.progress)
    }

    pub(super) const fn is_known(&self) -> bool {
        self.attempt.is_some()
    }
}
