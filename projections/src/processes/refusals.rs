//! The meaning of a refused reaction: one table for every pair of reaction and refusal.
//!
//! The author of a new reaction must add it here. A refusal that a reaction doesn't list is impossible by
//! design; if it happens, the reaction is parked for manual action and everything else continues. Only a
//! deadline accepts any refusal. A snapshot test holds the whole table.

/// The reactions that can be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Hold an item's days.
    Hold,
    /// Authorise the lending of a paid reservation.
    Authorize,
    /// Revoke the lending, if that is still possible.
    Revoke,
    /// Release days.
    Release,
    /// Report to the reservation that the days are held.
    Confirm,
    /// Report to the reservation that the hold was refused.
    Reject,
    /// Record a fact.
    Fact,
    /// End the time to pay.
    Expire,
    /// Refund a payment.
    Refund,
    /// Query the outcome of a payment.
    Settle,
    /// Abandon a missing registration.
    Abandon,
    /// Announce a deletion, or withdraw an announcement.
    Announce,
}

/// The refusals that some reaction expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    ItemUnknown,
    ItemGone,
    ItemTaken,
    ItemBlocked,
    OwnItem,
    RegistrationAbandoned,
    NoHold,
    ReservationClosed,
    AlreadyReserved,
    NotDue,
    PaymentPending,
    CancellationPending,
    Paid,
    /// No reaction expects it.
    Unexpected,
}

impl Code {
    pub(crate) fn parse(code: &str) -> Self {
        match code {
            "item-unknown" => Self::ItemUnknown,
            "item-gone" => Self::ItemGone,
            "item-taken" => Self::ItemTaken,
            "item-blocked" => Self::ItemBlocked,
            "own-item" => Self::OwnItem,
            "registration-abandoned" => Self::RegistrationAbandoned,
            "no-hold" => Self::NoHold,
            "reservation-closed" => Self::ReservationClosed,
            "already-reserved" => Self::AlreadyReserved,
            "not-due" => Self::NotDue,
            "payment-pending" => Self::PaymentPending,
            "cancellation-pending" => Self::CancellationPending,
            "paid" => Self::Paid,
            _ => Self::Unexpected,
        }
    }
}

/// The handling of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing: another event made the reaction unnecessary, or will.
    Done,
    /// The refusal itself is recorded, under the same command id.
    Compensate,
    /// The reaction is parked: the refusal is impossible by design.
    Park,
}

/// The handling of a refusal of a reaction.
pub(crate) const fn meaning(rule: Rule, code: Code) -> Meaning {
    match rule {
        Rule::Hold => match code {
            Code::ItemUnknown
            | Code::ItemGone
            | Code::ItemTaken
            | Code::ItemBlocked
            | Code::OwnItem
            | Code::RegistrationAbandoned => Meaning::Compensate,
            Code::NoHold
            | Code::ReservationClosed
            | Code::AlreadyReserved
            | Code::NotDue
            | Code::PaymentPending
            | Code::CancellationPending
            | Code::Paid
            | Code::Unexpected => Meaning::Park,
        },
        Rule::Release => done_if(matches!(code, Code::NoHold)),
        // The reservation was cancelled or rejected meanwhile; a release follows where one is needed.
        Rule::Confirm | Rule::Reject => done_if(matches!(code, Code::ReservationClosed)),
        // This deadline is over whatever the refusal is; a later deadline has a row of its own.
        Rule::Expire => Meaning::Done,
        Rule::Authorize
        | Rule::Revoke
        | Rule::Fact
        | Rule::Refund
        | Rule::Settle
        | Rule::Abandon
        | Rule::Announce => Meaning::Park,
    }
}

const fn done_if(expected: bool) -> Meaning {
    if expected { Meaning::Done } else { Meaning::Park }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_domain::{ItemError, Refusal, ReservationError};

    #[test]
    fn the_codes_are_those_that_the_aggregates_refuse_with() {
        let pairs: [(Code, &dyn Refusal); 15] = [
            (Code::ItemUnknown, &ItemError::Unknown),
            (Code::ItemGone, &ItemError::Gone),
            (Code::ItemTaken, &ItemError::Taken),
            (Code::ItemBlocked, &ItemError::Blocked),
            (Code::OwnItem, &ItemError::OwnItem),
            (Code::RegistrationAbandoned, &ItemError::RegistrationAbandoned),
            (Code::NoHold, &ItemError::NoHold),
            (Code::ReservationClosed, &ReservationError::Closed),
            (Code::AlreadyReserved, &ReservationError::AlreadyReserved),
            (Code::NotDue, &ReservationError::NotDue),
            (Code::PaymentPending, &ReservationError::PaymentPending),
            (Code::CancellationPending, &ReservationError::CancellationPending),
            (Code::Paid, &ReservationError::Paid),
            (Code::Unexpected, &ItemError::OutOfOrder),
            (Code::Unexpected, &ReservationError::OutOfOrder),
        ];
        for (code, refusal) in pairs {
            assert_eq!(Code::parse(refusal.code()), code);
        }
    }

    const RULES: [Rule; 12] = [
        Rule::Hold,
        Rule::Authorize,
        Rule::Revoke,
        Rule::Release,
        Rule::Confirm,
        Rule::Reject,
        Rule::Fact,
        Rule::Expire,
        Rule::Refund,
        Rule::Settle,
        Rule::Abandon,
        Rule::Announce,
    ];

    const CODES: [Code; 14] = [
        Code::ItemUnknown,
        Code::ItemGone,
        Code::ItemTaken,
        Code::ItemBlocked,
        Code::OwnItem,
        Code::RegistrationAbandoned,
        Code::NoHold,
        Code::ReservationClosed,
        Code::AlreadyReserved,
        Code::NotDue,
        Code::PaymentPending,
        Code::CancellationPending,
        Code::Paid,
        Code::Unexpected,
    ];

    #[test]
    fn every_refusal_of_every_reaction_has_its_meaning() {
        let row = |rule: Rule| {
            let named = CODES.iter().map(|code| (code, meaning(rule, *code)));
            let named = named.filter(|(_, meaning)| *meaning != Meaning::Park);
            let named: Vec<_> =
                named.map(|(code, meaning)| format!("{code:?} {meaning:?}")).collect();
            format!("{rule:?}: {}", named.join(", "))
        };
        // Pairs that aren't listed park.
        let table = RULES.map(row).join("\n");
        insta::assert_snapshot!(table);
    }
}
