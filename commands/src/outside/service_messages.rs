//! What services send each other in these calls, as JSON. Both sides use these types.

use super::call_context::CallContext;
use gdmarket_domain::payment::StartedPayment;
use gdmarket_domain::{ItemNo, Money, PaymentNo, ReservationNo};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The request to raise the alarm of a registration; the item's number is in the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaiseRequest {
    /// What goes with the command.
    pub context: CallContext,
}

/// What became of the request to raise an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum AlarmAnswer {
    /// The alarm is raised, for the number of the first equal request.
    Raised {
        /// The number that the item gets.
        item_no: ItemNo,
    },
    /// The alarm of this number is another registration's.
    NumberTaken {
        /// The highest number that has an alarm.
        highest: i64,
    },
}

/// What an attempt to pay is about; the payment's number is in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptContent {
    /// The reservation that is paid.
    pub reservation_no: ReservationNo,
    /// The item that is reserved.
    pub item_no: ItemNo,
    /// What is charged.
    pub amount: Money,
}

/// The request to start an attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRequest {
    /// What it is about.
    #[serde(flatten)]
    pub content: AttemptContent,
    /// What goes with the command.
    pub context: CallContext,
}

impl AttemptContent {
    /// What this attempt is about.
    pub const fn of(attempt: &StartedPayment) -> Self {
        let StartedPayment { payment_no: _, reservation_no, item_no, amount } = *attempt;
        Self { reservation_no, item_no, amount }
    }

    /// The attempt of this number.
    pub const fn numbered(self, payment_no: PaymentNo) -> StartedPayment {
        let Self { reservation_no, item_no, amount } = self;
        StartedPayment { payment_no, reservation_no, item_no, amount }
    }
}

/// How far an attempt to pay has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum AttemptAnswer {
    /// The money was taken.
    Approved,
    /// The money was not taken.
    Declined {
        /// The payment side's reason.
        code: String,
    },
    /// Not known yet.
    Unknown,
    /// Surely not charged: the gateway was not reached.
    NotCharged {
        /// When another attempt may succeed, in milliseconds.
        #[serde(default)]
        retry_after_ms: Option<u64>,
    },
    /// The payment of this number has another content, so this attempt never began.
    NumberTaken {
        /// The highest number that has a payment.
        highest: i64,
    },
    /// No attempt of this number was started.
    NotStarted,
}

impl AttemptAnswer {
    /// The answer of an attempt that was not charged.
    pub(crate) fn not_charged(retry_after: Option<Duration>) -> Self {
        let retry_after = retry_after.map(|wait| u64::try_from(wait.as_millis()));
        Self::NotCharged { retry_after_ms: retry_after.and_then(Result::ok) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_of_the_answers_are_kept() {
        let item_no = ItemNo::new(7).unwrap();
        let form = |answer: AlarmAnswer| serde_json::to_value(answer).unwrap();
        assert_eq!(form(AlarmAnswer::Raised { item_no }), json!({"result": "raised", "itemNo": 7}));
        let taken = AlarmAnswer::NumberTaken { highest: 9 };
        assert_eq!(form(taken), json!({"result": "number-taken", "highest": 9}));
        let form = |answer: AttemptAnswer| serde_json::to_value(answer).unwrap();
        assert_eq!(form(AttemptAnswer::Approved), json!({"outcome": "approved"}));
        let refused = AttemptAnswer::not_charged(Some(Duration::from_secs(2)));
        assert_eq!(form(refused), json!({"outcome": "not-charged", "retryAfterMs": 2_000}));
    }
}
