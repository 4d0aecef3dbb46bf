//! The steps of the market's process managers, and the remedies for their refusals.

use super::refusals::{Code, Meaning, Rule, meaning};
use crate::engine::process_manager::{self, Remedy};
use gdmarket_domain::payment::StartedPayment;
use gdmarket_domain::{HoldCommand, ItemCommand, MarketCommand, PaymentNo};

/// The reactions of a process manager of the market.
pub(crate) type Reactions = process_manager::Reactions<Step>;
/// One reaction.
pub(crate) type Reaction = process_manager::Reaction<Step>;
/// The reactions to a deadline.
pub(crate) type Due = process_manager::Due<Step>;
/// Any process manager of the market.
pub(crate) type AnyManager = dyn process_manager::Manager<Step = Step>;

/// An action that is taken through the port.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A command, with its row in the table of refusals.
    Send(Rule, MarketCommand),
    /// Refunds an attempt; it may take long, so it never delays a batch.
    Refund(PaymentNo),
    /// Queries the outcome of an attempt, which may not have been started although it was requested.
    Settle(PaymentNo, Option<StartedPayment>),
}

impl process_manager::ProcessStep for Step {
    fn takes_long(&self) -> bool {
        match self {
            Self::Refund(_) => true,
            Self::Send(..) | Self::Settle(..) => false,
        }
    }
}

impl Step {
    /// The row of the table of refusals.
    pub(crate) const fn rule(&self) -> Rule {
        match self {
            Self::Send(rule, _) => *rule,
            Self::Refund(_) => Rule::Refund,
            Self::Settle(..) => Rule::Settle,
        }
    }

    /// The remedy for the refusal with this code.
    pub(crate) fn remedy(&self, refusal: &str) -> Remedy<Self> {
        match meaning(self.rule(), Code::parse(refusal)) {
            Meaning::Done => Remedy::Done,
            Meaning::Compensate => self.compensation(refusal),
            Meaning::Park => Remedy::Park(format!("{:?} was refused: {refusal}", self.rule())),
        }
    }

    /// Records a refused hold under the id of the refused command, so that a request has one of the two answers
    /// for ever.
    fn compensation(&self, refusal: &str) -> Remedy<Self> {
        let Self::Send(_, MarketCommand::Item(item_no, ItemCommand::Hold { reservation_no, .. })) =
            self
        else {
            return Remedy::Park(format!("the refusal {refusal} has no remedy"));
        };
        let (reservation_no, item_no) = (*reservation_no, *item_no);
        let refuse = HoldCommand::Refuse { reservation_no, item_no, reason: refusal.to_owned() };
        let refuse = MarketCommand::Hold(reservation_no, refuse);
        Remedy::Compensate {
            step: Self::Send(Rule::Fact, refuse),
            refused: "a refused hold was refused",
        }
    }
}
