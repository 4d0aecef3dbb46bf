//! The actor that sends a command. Names stay outside; an actor is a role and a number, and goes into an event's metadata.

use crate::ids::PersonId;
use std::fmt;
use std::str::FromStr;

/// On whose behalf a command is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Runs the market and may act for anyone.
    Operator(String),
    /// The owner of items.
    Owner(PersonId),
    /// A renter.
    Renter(PersonId),
    /// A process manager of the market itself, by its name.
    Process(&'static str),
    /// A caller that doesn't say who it is, where that isn't the operator by default: it may read what
    /// every actor may.
    Anonymous,
}

/// Not `operator:NAME`, `owner:ID` or `renter:ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an actor is operator:NAME, owner:ID or renter:ID")]
pub struct ActorError;

impl Actor {
    /// Whether this actor may act for anyone: the operator, and the market's own processes.
    pub const fn acts_for_anyone(&self) -> bool {
        matches!(self, Self::Operator(_) | Self::Process(_))
    }

    /// Whether this actor may act as the owner `owner` of an item; an item without an owner
    /// belongs to the operator.
    pub fn is_owner(&self, owner: Option<PersonId>) -> bool {
        self.acts_for_anyone() || matches!((self, owner), (Self::Owner(me), Some(o)) if *me == o)
    }

    /// Whether this actor may act as the renter `renter`.
    pub fn is_renter(&self, renter: PersonId) -> bool {
        self.acts_for_anyone() || matches!(self, Self::Renter(me) if *me == renter)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Owner(id) => write!(f, "owner:{id}"),
            Self::Renter(id) => write!(f, "renter:{id}"),
            Self::Process(name) => write!(f, "process:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl FromStr for Actor {
    type Err = ActorError;

    /// Reads what a caller may claim; `process:` and `anonymous` aren't among it.
    fn from_str(text: &str) -> Result<Self, ActorError> {
        let (role, id) = text.split_once(':').ok_or(ActorError)?;
        match role {
            "operator" if is_name(id) => Ok(Self::Operator(id.to_owned())),
            "owner" => id.parse().map(Self::Owner).map_err(|_| ActorError),
            "renter" => id.parse().map(Self::Renter).map_err(|_| ActorError),
            _ => Err(ActorError),
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
