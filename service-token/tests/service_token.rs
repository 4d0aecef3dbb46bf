//! Tokens through the public interface: what is accepted, what is refused, and how keys are replaced.
#![expect(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, TimeDelta, Utc};
use gdmarket_domain::{Service, Services};
use gdmarket_service_token::{
    ServiceKeys, SharedKeys, TokenFault, TokenIssuer, TokenVerifier, VerifiedToken,
};
use uuid::Uuid;

const KEY: &str = "a1";
const OTHER_KEY: &str = "b2";

fn keys(current: &str, previous: Option<&str>) -> ServiceKeys {
    let line = |name: &str, byte: &str| format!("{name} = \"{}\"\n", byte.repeat(32));
    let previous = previous.map(|byte| line("previous", byte)).unwrap_or_default();
    ServiceKeys::from_toml(&format!("{}{previous}", line("current", current))).unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_796_000_000, 0).unwrap()
}

fn after(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

fn issuer(keys: &SharedKeys) -> TokenIssuer {
    TokenIssuer::new(Service::Reservation, keys.clone())
}

fn verifier(keys: &SharedKeys) -> TokenVerifier {
    TokenVerifier::new(Services::of(&[Service::Item, Service::Alarm]), keys.clone())
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[test]
fn token_for_a_service_of_the_process_is_accepted_once() {
    let keys = SharedKeys::new(keys(KEY, None));
    let (issuer, verifier) = (issuer(&keys), verifier(&keys));
    for (number, audience) in [(1, Service::Item), (2, Service::Alarm)] {
        let token = issuer.issue(audience, now(), id(number));
        let expected = VerifiedToken { caller: Service::Reservation, request_id: id(number) };
        assert_eq!(verifier.verify(&token, now()), Ok(expected));
        for seconds in [0, 29] {
            assert_eq!(verifier.verify(&token, after(seconds)), Err(TokenFault::Replayed));
        }
    }
    let foreign = issuer.issue(Service::Payment, now(), id(3));
    assert_eq!(verifier.verify(&foreign, now()), Err(TokenFault::WrongAudience));
}

#[test]
fn token_is_valid_from_a_minute_before_its_expiry_up_to_it() {
    let keys = SharedKeys::new(keys(KEY, None));
    let issuer = issuer(&keys);
    for (seconds, expected) in [
        (-31, Some(TokenFault::ValidForTooLong)),
        (-30, None),
        (29, None),
        (30, Some(TokenFault::Expired)),
        (3_600, Some(TokenFault::Expired)),
    ] {
        let token = issuer.issue(Service::Item, now(), id(1));
        let checked = verifier(&keys).verify(&token, after(seconds));
        assert_eq!(checked.err(), expected, "{seconds} s after it was made");
    }
}

#[test]
fn changed_token_is_refused_at_every_byte() {
    let keys = SharedKeys::new(keys(KEY, None));
    let token = issuer(&keys).issue(Service::Item, now(), id(7));
    let verifier = verifier(&keys);
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(bytes).unwrap();
        let refused = verifier.verify(&changed, now()).unwrap_err();
        assert!(matches!(refused, TokenFault::WrongKey | TokenFault::Malformed), "{at}: {refused}");
    }
    for text in ["", "v1", ".....", "v1.reservation.item.1.x.y", &token[..token.len() - 1]] {
        assert!(verifier.verify(text, now()).is_err(), "{text:?}");
    }
    let long = format!("{token}{}", "A".repeat(1_000));
    assert_eq!(verifier.verify(&long, now()), Err(TokenFault::Malformed));
    assert!(verifier.verify(&token, now()).is_ok(), "the refused ones used up no request id");
}

#[test]
fn token_of_another_key_is_refused_whatever_it_says() {
    let own = SharedKeys::new(keys(KEY, None));
    let other = SharedKeys::new(keys(OTHER_KEY, None));
    for audience in [Service::Item, Service::Payment] {
        let token = issuer(&other).issue(audience, now(), id(1));
        assert_eq!(verifier(&own).verify(&token, now()), Err(TokenFault::WrongKey));
    }
}

/// The three steps of the runbook: the new key is accepted everywhere before it signs anywhere.
#[test]
fn keys_are_replaced_without_a_refused_request() {
    let (one, two) = (SharedKeys::new(keys(KEY, None)), SharedKeys::new(keys(KEY, None)));
    let mut number = 0;
    let mut both_accept = |step: &str| {
        for (from, to) in [(&one, &two), (&two, &one)] {
            number += 1;
            let token = issuer(from).issue(Service::Item, now(), id(number));
            assert!(verifier(to).verify(&token, now()).is_ok(), "{step}");
        }
    };
    for (step, file) in [
        ("accept the new key", keys(KEY, Some(OTHER_KEY))),
        ("sign with the new key", keys(OTHER_KEY, Some(KEY))),
        ("forget the old key", keys(OTHER_KEY, None)),
    ] {
        both_accept(step);
        one.replace(file.clone());
        both_accept(step);
        two.replace(file);
        both_accept(step);
    }
    let old = SharedKeys::new(keys(KEY, None));
    let token = issuer(&old).issue(Service::Item, now(), id(99));
    assert_eq!(verifier(&one).verify(&token, now()), Err(TokenFault::WrongKey));
}
