//! Ids of commands: the same request gives the same id, so doing it twice does it once.
//!
//! Ids are version 5 UUIDs of what identifies a request, never a client's string itself and never a log
//! position; every part carries its length, so no two requests can be spelled the same.

use gdmarket_domain::Actor;
use uuid::Uuid;

/// Namespace of the ids of HTTP requests with an idempotency key.
pub const HTTP_NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_61c4_5a0e_4b0c_9d0a_3f6b_16a5_2e01);
/// Namespace of the later steps of one request.
pub const STEP_NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_61c4_5a0e_4b0c_9d0a_3f6b_16a5_2e02);
/// Namespace of facts that the market's own processes record.
pub const PROCESS_NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_61c4_5a0e_4b0c_9d0a_3f6b_16a5_2e03);
/// Namespace of the keys under which the payment gateway knows an attempt.
pub const GATEWAY_NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_61c4_5a0e_4b0c_9d0a_3f6b_16a5_2e04);

/// The id of step `step` of a request that came with an idempotency key.
///
/// Two actors may use the same key for different requests; step 0 is the request's own id.
pub fn http_command_id(actor: &Actor, method: &str, route: &str, key: &str, step: u32) -> Uuid {
    let actor = actor.to_string();
    let first = derive(
        HTTP_NAMESPACE,
        &[actor.as_bytes(), method.as_bytes(), route.as_bytes(), key.as_bytes()],
    );
    step_command_id(first, step)
}

/// The id of a later step of the request whose first command has the id `first`; step 0 is `first`.
pub fn step_command_id(first: Uuid, step: u32) -> Uuid {
    if step == 0 { first } else { derive(STEP_NAMESPACE, &[first.as_bytes(), &step.to_be_bytes()]) }
}

/// The id of a fact that the market's own process records once per log, aggregate and fact.
pub(crate) fn process_command_id(log_id: Uuid, aggregate: &str, number: i64, fact: &str) -> Uuid {
    let parts = [log_id.as_bytes(), aggregate.as_bytes(), &number.to_be_bytes(), fact.as_bytes()];
    derive(PROCESS_NAMESPACE, &parts)
}

/// The key under which the gateway charges and refunds a payment attempt. It names the log, since
/// two markets may share a gateway and both have a payment 1.
pub(crate) fn gateway_key(log_id: Uuid, payment_no: i64) -> Uuid {
    derive(GATEWAY_NAMESPACE, &[log_id.as_bytes(), &payment_no.to_be_bytes()])
}

fn derive(namespace: Uuid, parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        name.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&namespace, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator() -> Actor {
        Actor::Operator("local".to_owned())
    }

    #[test]
    fn parts_are_separated() {
        let one = http_command_id(&operator(), "POST", "/items", "ab", 0);
        let other = http_command_id(&operator(), "POST", "/itemsa", "b", 0);
        assert_ne!(one, other);
    }

    #[test]
    fn ids_never_change() {
        // Receipts in existing logs are found by these ids: a change here would repeat old requests.
        let first = http_command_id(&operator(), "POST", "/items", "key", 0);
        assert_eq!(first, http_command_id(&operator(), "POST", "/items", "key", 0));
        assert_eq!(
            step_command_id(first, 2),
            http_command_id(&operator(), "POST", "/items", "key", 2)
        );
        assert_ne!(first, step_command_id(first, 1));
    }
}
