//! One command on its way to one aggregate.

use super::CommandMeta;
use gdmarket_domain::Decider;
use gdmarket_store::PersonalData;

/// A command, the aggregate that it is for, and what comes with it.
pub(crate) struct CommandRequest<'a, A: Decider> {
    pub(crate) number: i64,
    pub(crate) command: &'a A::Command,
    pub(crate) meta: &'a CommandMeta,
    /// Personal data that is kept with the events, outside the log.
    pub(crate) personal: Option<PersonalData>,
    /// Why the command was sent, kept in the events' metadata.
    pub(crate) note: Option<&'a str>,
    /// The code of a transient refusal that is remembered as a final one is: the caller knows that it
    /// doesn't pass.
    pub(crate) remember_transient_refusal: Option<&'static str>,
}

impl<'a, A: Decider> CommandRequest<'a, A> {
    pub(crate) const fn new(number: i64, command: &'a A::Command, meta: &'a CommandMeta) -> Self {
        Self { number, command, meta, personal: None, note: None, remember_transient_refusal: None }
    }
}
