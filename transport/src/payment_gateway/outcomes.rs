//! What an answer of the provider means. An answer that isn't exactly what the provider documents leaves the outcome
//! unknown.

use super::messages::{CURRENCY, ProviderPayment, ProviderRefusal, ProviderStatus};
use crate::http_client::HttpAnswer;
use gdmarket_commands::{Confirmation, GatewayError};
use gdmarket_domain::Money;
use reqwest::StatusCode;

/// The code of a payment that the provider has never received.
const PAYMENT_NOT_FOUND: &str = "PAYMENT_NOT_FOUND";

/// What the provider answers in its own form.
enum ProviderReply {
    Payment(ProviderPayment),
    Refusal(StatusCode, ProviderRefusal),
}

/// Whether the money was taken.
pub(super) fn confirmed(answer: &HttpAnswer) -> Result<Confirmation, GatewayError> {
    match reply(answer)? {
        ProviderReply::Payment(payment) if payment.status == ProviderStatus::Paid => {
            confirmation(&payment, payment.total_amount)
        }
        ProviderReply::Payment(payment) => Err(unexpected(&payment)),
        ProviderReply::Refusal(status, refusal) if is_definite(status) => {
            Err(GatewayError::Declined(refusal.code))
        }
        ProviderReply::Refusal(status, refusal) => Err(undecided(status, &refusal)),
    }
}

/// Whether all the money was given back.
pub(super) fn cancelled(answer: &HttpAnswer) -> Result<Confirmation, GatewayError> {
    match reply(answer)? {
        ProviderReply::Payment(payment) if payment.status == ProviderStatus::Cancelled => {
            confirmation(&payment, payment.cancelled_amount)
        }
        ProviderReply::Payment(payment) => Err(unexpected(&payment)),
        ProviderReply::Refusal(status, refusal)
            if is_definite(status) || is_not_found(status, &refusal) =>
        {
            Err(GatewayError::Declined(refusal.code))
        }
        ProviderReply::Refusal(status, refusal) => Err(undecided(status, &refusal)),
    }
}

/// Whether the money was taken, whatever became of it then.
pub(super) fn found(answer: &HttpAnswer) -> Result<Option<Confirmation>, GatewayError> {
    match reply(answer)? {
        ProviderReply::Payment(payment) => match payment.status {
            ProviderStatus::Paid | ProviderStatus::Cancelled => {
                confirmation(&payment, payment.total_amount).map(Some)
            }
            ProviderStatus::Failed => Ok(None),
            ProviderStatus::Unsettled => Err(unexpected(&payment)),
        },
        ProviderReply::Refusal(status, refusal) if is_not_found(status, &refusal) => Ok(None),
        ProviderReply::Refusal(status, refusal) => Err(undecided(status, &refusal)),
    }
}

/// The provider says no to what was requested. Other refusals are about the moment or about the caller: too many
/// requests, another call in progress, a wrong key. And "not found" without the provider's code comes from a wrong URL.
const fn is_definite(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYMENT_REQUIRED | StatusCode::UNPROCESSABLE_ENTITY
    )
}

fn is_not_found(status: StatusCode, refusal: &ProviderRefusal) -> bool {
    status == StatusCode::NOT_FOUND && refusal.code == PAYMENT_NOT_FOUND
}

fn reply(answer: &HttpAnswer) -> Result<ProviderReply, GatewayError> {
    let HttpAnswer { status, body, .. } = answer;
    if *status == StatusCode::OK {
        let payment = serde_json::from_slice(body);
        return payment.map(ProviderReply::Payment).map_err(|error| unreadable(*status, &error));
    }
    if status.is_client_error() {
        let refusal = serde_json::from_slice(body);
        return refusal
            .map(|refusal| ProviderReply::Refusal(*status, refusal))
            .map_err(|error| unreadable(*status, &error));
    }
    Err(GatewayError::Unknown(format!("the status is {}", status.as_u16())))
}

/// The answer as a confirmation, for the caller to compare with its request.
fn confirmation(payment: &ProviderPayment, amount: Money) -> Result<Confirmation, GatewayError> {
    let ProviderPayment { payment_id: key, order_id, currency, .. } = payment;
    if currency != CURRENCY {
        return Err(GatewayError::Unknown(format!("the currency is {currency:?}")));
    }
    let unknown_order = || GatewayError::Unknown(format!("the order is {order_id:?}"));
    let payment_no = payment.payment_no().ok_or_else(unknown_order)?;
    Ok(Confirmation { key: *key, payment_no, amount })
}

fn unexpected(payment: &ProviderPayment) -> GatewayError {
    GatewayError::Unknown(format!("the payment is {:?}", payment.status))
}

fn undecided(status: StatusCode, refusal: &ProviderRefusal) -> GatewayError {
    GatewayError::Unknown(format!("the status is {}, {:?}", status.as_u16(), refusal.code))
}

fn unreadable(status: StatusCode, error: &serde_json::Error) -> GatewayError {
    GatewayError::Unknown(format!("the status is {} and the body: {error}", status.as_u16()))
}
