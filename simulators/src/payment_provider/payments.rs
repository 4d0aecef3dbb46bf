//! The provider's payments: confirm, cancel and find, each answered from the book. One call at a time works on a
//! payment; another one learns that it is in progress.

use super::behaviour::{PlannedCall, ProviderFault};
use super::charge_book::{BookClosed, BookEntry, BookedPayment, BookedState, ChargeBook};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The only currency.
pub(super) const CURRENCY: &str = "KRW";

/// What is to be charged.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderBody {
    pub(super) order_id: String,
    pub(super) total_amount: u64,
    pub(super) currency: String,
}

/// A payment as the provider answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownPayment {
    pub(super) payment_id: String,
    pub(super) order_id: String,
    pub(super) status: &'static str,
    pub(super) currency: &'static str,
    pub(super) total_amount: u64,
    pub(super) cancelled_amount: u64,
}

/// A call that was not done: the status, and the code that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedCall {
    pub(super) status: u16,
    pub(super) code: String,
}

impl RefusedCall {
    pub(super) fn new(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned() }
    }
}

impl From<BookClosed> for RefusedCall {
    fn from(_: BookClosed) -> Self {
        Self::new(500, "LEDGER_UNAVAILABLE")
    }
}

/// What a call is answered.
pub(super) type PaymentAnswer = Result<ShownPayment, RefusedCall>;

/// All payments; clones share them.
#[derive(Clone)]
pub(super) struct ProviderPayments {
    pub(super) book: Arc<ChargeBook>,
    in_progress: Arc<Mutex<HashSet<String>>>,
}

/// The right to work on one payment, until it is dropped.
pub(super) struct PaymentLock {
    payment_id: String,
    in_progress: Arc<Mutex<HashSet<String>>>,
}

impl Drop for PaymentLock {
    fn drop(&mut self) {
        let mut in_progress = self.in_progress.lock().unwrap_or_else(PoisonError::into_inner);
        in_progress.remove(&self.payment_id);
    }
}

impl ProviderPayments {
    pub(super) fn new(book: ChargeBook) -> Self {
        Self { book: Arc::new(book), in_progress: Arc::default() }
    }

    /// Locks a payment, or refuses because another call works on it.
    pub(super) fn lock(&self, payment_id: &str) -> Result<PaymentLock, RefusedCall> {
        let mut in_progress = self.in_progress.lock().unwrap_or_else(PoisonError::into_inner);
        if !in_progress.insert(payment_id.to_owned()) {
            return Err(RefusedCall::new(409, "PAYMENT_IN_PROGRESS"));
        }
        drop(in_progress);
        let in_progress = Arc::clone(&self.in_progress);
        Ok(PaymentLock { payment_id: payment_id.to_owned(), in_progress })
    }

    /// Takes the money, once per payment: a repeat is answered as the first call was.
    pub(super) async fn confirm(
        &self,
        lock: &PaymentLock,
        order: &OrderBody,
        declines: bool,
    ) -> PaymentAnswer {
        let OrderBody { order_id, total_amount: amount, .. } = order.clone();
        let payment_id = lock.payment_id.clone();
        if let Some(booked) = self.book.payment(&payment_id) {
            if booked.order_id != order_id || booked.amount != amount {
                return Err(RefusedCall::new(409, "IDEMPOTENCY_KEY_REUSED"));
            }
            return match booked.state {
                BookedState::Declined { code } => Err(RefusedCall { status: 402, code }),
                BookedState::Charged | BookedState::Refunded => Ok(body(payment_id, booked)),
            };
        }
        if declines {
            let code = "CARD_DECLINED".to_owned();
            let entry = BookEntry::Decline { payment_id, order_id, amount, code: code.clone() };
            self.book.append(entry).await?;
            return Err(RefusedCall { status: 402, code });
        }
        self.book.append(BookEntry::Charge { payment_id, order_id, amount }).await?;
        self.find(&lock.payment_id)
    }

    /// Gives all the money back, once.
    pub(super) async fn cancel(&self, lock: &PaymentLock, declines: bool) -> PaymentAnswer {
        let payment = self.find(&lock.payment_id)?;
        match payment.status {
            _ if declines => Err(RefusedCall::new(422, "NOT_CANCELABLE_PAYMENT")),
            "PAID" => {
                let amount = payment.total_amount;
                let payment_id = lock.payment_id.clone();
                self.book.append(BookEntry::Refund { payment_id, amount }).await?;
                self.find(&lock.payment_id)
            }
            "CANCELLED" => Ok(payment),
            _ => Err(RefusedCall::new(422, "NOT_CANCELABLE_PAYMENT")),
        }
    }

    fn find(&self, payment_id: &str) -> PaymentAnswer {
        let booked = self.book.payment(payment_id);
        let booked = booked.ok_or_else(|| RefusedCall::new(404, "PAYMENT_NOT_FOUND"))?;
        Ok(body(payment_id.to_owned(), booked))
    }

    /// What became of a payment; while another call works on it that isn't known.
    pub(super) fn find_settled(&self, payment_id: &str) -> PaymentAnswer {
        let in_progress = self.in_progress.lock().unwrap_or_else(PoisonError::into_inner);
        if in_progress.contains(payment_id) {
            return Err(RefusedCall::new(409, "PAYMENT_IN_PROGRESS"));
        }
        drop(in_progress);
        self.find(payment_id)
    }
}

fn body(payment_id: String, booked: BookedPayment) -> ShownPayment {
    let BookedPayment { order_id, amount, state } = booked;
    let (status, cancelled_amount) = match state {
        BookedState::Charged => ("PAID", 0),
        BookedState::Refunded => ("CANCELLED", amount),
        BookedState::Declined { .. } => ("FAILED", 0),
    };
    let currency = CURRENCY;
    ShownPayment { payment_id, order_id, status, currency, total_amount: amount, cancelled_amount }
}

impl ShownPayment {
    /// The payment as a provider shows it whose answer is wrong.
    pub(super) fn distorted(self, call: PlannedCall) -> Self {
        match call.fault {
            ProviderFault::WrongAmount => Self {
                total_amount: self.total_amount + 1,
                cancelled_amount: self.cancelled_amount + u64::from(self.cancelled_amount > 0),
                ..self
            },
            ProviderFault::WrongOrder => Self { order_id: format!("{}0", self.order_id), ..self },
            ProviderFault::WrongPayment => {
                let mut payment_id = self.payment_id;
                let last = if payment_id.pop() == Some('0') { '1' } else { '0' };
                payment_id.push(last);
                Self { payment_id, ..self }
            }
            _ => self,
        }
    }
}
