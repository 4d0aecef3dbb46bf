//! The pages of the problems, one per code, from `docs/errors/`. A test compares them with the table of kinds.

macro_rules! pages {
    ($($code:literal)*) => {
        /// Each code with its page.
        pub const PAGES: &[(&str, &str)] = &[$((
            $code,
            include_str!(concat!("../../../docs/errors/", $code, ".md")),
        )),*];
    };
}

pages! {
    "malformed-json"
    "bad-header"
    "actor-required"
    "service-token-refused"
    "payment-declined"
    "wrong-actor"
    "foreign-origin"
    "not-found"
    "item-not-found"
    "reservation-not-found"
    "payment-not-found"
    "alarm-not-found"
    "not-served-here"
    "method-not-allowed"
    "request-timeout"
    "item-taken"
    "item-unknown"
    "item-gone"
    "item-blocked"
    "own-item"
    "not-reserved"
    "not-renting"
    "not-paid"
    "too-early"
    "period-over"
    "still-rented"
    "item-in-use"
    "registration-abandoned"
    "too-many-blocks"
    "already-lent"
    "reservation-closed"
    "payment-pending"
    "cancellation-pending"
    "already-reserved"
    "no-hold"
    "not-due"
    "paid"
    "stale-version"
    "precondition-failed"
    "body-too-large"
    "unsupported-media-type"
    "unsupported-encoding"
    "misdirected-host"
    "invalid"
    "which-reservation"
    "key-reused"
    "internal"
    "impossible"
    "not-implemented"
    "service-unreachable"
    "overloaded"
    "timed-out"
    "unavailable"
    "busy"
    "payment-unavailable"
    "alarm-unavailable"
    "outcome-unknown"
    "newer-program"
    "views-behind"
    "no-answer"
}

#[cfg(test)]
mod tests {
    use super::PAGES;
    use crate::problem::kind::KINDS;

    #[test]
    fn every_code_has_its_page() {
        let pages: Vec<_> = PAGES.iter().map(|(code, _)| *code).collect();
        let codes: Vec<_> = KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(pages, codes);
    }
}
