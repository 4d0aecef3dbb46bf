//! What a process manager of the market does, and what makes up for its refusal.

use super::refusals::{Code, Meaning, Rule, meaning};
use crate::engine::process_manager::{self, Remedy};
use gdmarket_domain::{HoldCommand, ItemCommand, MarketCommand, PaymentNo};

/// The reactions of a process manager of the market.
pub(crate) type Reactions = process_manager::Reactions<Step>;
/// One reaction.
pub(crate) type Reaction = process_manager::Reaction<Step>;
/// What follows from a deadline.
pub(crate) type Due = process_manager::Due<Step>;
/// Any process manager of the market.
pub(crate) type AnyManager = dyn process_manager::Manager<Step = Step>;

/// Something that goes through the port.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A command, and the row of the table that says what its refusal means.
    Send(Rule, MarketCommand),
    /// Give an attempt's money back; may take long, so it never holds up its batch.
    Refund(PaymentNo),
    /// Ask for an attempt's outcome.
    Settle(PaymentNo),
}

impl process_manager::ProcessStep for Step {
    fn takes_long(&self) -> bool {
        match self {
            Self::Refund(_) => true,
            Self::Send(..) | Self::Settle(_) => false,
        }
    }
}

impl Step {
    /// Which row of the table of refusals counts.
    pub(crate) const fn rule(&self) -> Rule {
        match self {
            Self::Send(rule, _) => *rule,
            Self::Refund(_) => Rule::Refund,
            Self::Settle(_) => Rule::Settle,
        }
    }

    /// What makes up for the refusal with this code.
    pub(crate) fn remedy(&self, refusal: &str) -> Remedy<Self> {
        match meaning(self.rule(), Code::parse(refusal)) {
            Meaning::Done => Remedy::Done,
            Meaning::Compensate => self.compensation(refusal),
            Meaning::Park => Remedy::Park(format!("{:?} was refused: {refusal}", self.rule())),
        }
    }

    /// Writes a refused hold down, under the id of the command that was refused: a request has one of
    /// the two answers for ever.
    fn compensation(&self, refusal: &str) -> Remedy<Self> {
        let Self::Send(_, MarketCommand::Item(item_no, ItemCommand::Hold { reservation_no, .. })) =
            self
        else {
            return Remedy::Park(format!("nothing makes up for the refusal {refusal}"));
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
