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

/// What identifies an HTTP request that came with an idempotency key. Two actors may use the same key
/// for different requests.
#[derive(Debug, Clone, Copy)]
pub struct KeyedRequest<'a> {
    /// The actor that sent it.
    pub actor: &'a Actor,
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub route: &'a str,
    /// Its idempotency key.
    pub key: &'a str,
}

/// The id of the first command of a request; later ones have the ids of [`step_command_id`].
pub fn http_command_id(request: &KeyedRequest<'_>) -> Uuid {
    let KeyedRequest { actor, method, route, key } = *request;
    let actor = actor.to_string();
    let parts = [actor.as_bytes(), method.as_bytes(), route.as_bytes(), key.as_bytes()];
    derive(HTTP_NAMESPACE, &parts)
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

    fn id(route: &str, key: &str) -> Uuid {
        let actor = &Actor::Operator("local".to_owned());
        http_command_id(&KeyedRequest { actor, method: "POST", route, key })
    }

    #[test]
    fn parts_are_separated() {
        assert_ne!(id("/items", "ab"), id("/itemsa", "b"));
    }

    #[test]
    fn ids_never_change() {
        // Receipts in existing logs are found by these ids: a change here would repeat old requests.
        let first = id("/items", "key");
        assert_eq!(first.to_string(), "486b63aa-2f05-5504-99f6-3ca3107fea84");
        assert_eq!(step_command_id(first, 0), first);
        assert_eq!(step_command_id(first, 2).to_string(), "ff210311-9273-56e6-a60e-86924ab642d3");
        assert_ne!(first, step_command_id(first, 1));
    }
}
