//! The one way of every command: load, `If-Match`, permission, decide, append with its receipt.
//!
//! Whatever isn't a fresh success asks the receipts first: only after the load is it sure whether
//! this very command was done before. A refusal, a no-op or a stale version that was decided on a
//! cached state is decided again on the stream's tail, since nothing else refuses a stale answer.

mod outcome;

use crate::error::{CommandError, Service};
use crate::meta::{CommandMeta, Executed};
use crate::options::RetryOptions;
use crate::retry::Retry;
use gdmarket_domain::{Decider, Refusal};
use gdmarket_store::{AppendError, Loaded, NewEvent, PersonalData, Receipt, ReceiptKind, Store};
use outcome::{Decision, unavailable};
use std::sync::Arc;
use std::time::Duration;

/// Executes commands over one store.
#[derive(Clone)]
pub(crate) struct Executor {
    pub(crate) store: Store,
    retry: Arc<RetryOptions>,
    retry_after: Duration,
}

/// One command on its way.
pub(crate) struct Request<'a, A: Decider> {
    pub(crate) number: i64,
    pub(crate) command: &'a A::Command,
    pub(crate) meta: &'a CommandMeta,
    /// Names that are kept with the events, outside the log.
    pub(crate) personal: Vec<PersonalData>,
}

impl<'a, A: Decider> Request<'a, A> {
    pub(crate) const fn new(number: i64, command: &'a A::Command, meta: &'a CommandMeta) -> Self {
        Self { number, command, meta, personal: Vec::new() }
    }
}
