//! An event with what is to be done about it.

use super::manager::{Reaction, Reactions};
use gdmarket_store::RecordedEvent;
use std::sync::Arc;

/// An event and what is to be done about it.
pub(super) struct Job<S> {
    pub(super) event: Arc<RecordedEvent>,
    /// What is parked if this can't be done.
    pub(super) key: String,
    /// Whether it may be done concurrently with neighbours of which the same is true.
    pub(super) is_concurrent: bool,
    pub(super) steps: Vec<Reaction<S>>,
    /// Why it is unknown what is to be done.
    pub(super) unreadable: Option<String>,
}

impl<S> Job<S> {
    pub(super) fn new(event: &Arc<RecordedEvent>, reactions: Reactions<S>) -> Self {
        let Reactions { key, is_concurrent, steps, .. } = reactions;
        Self { event: Arc::clone(event), key, is_concurrent, steps, unreadable: None }
    }

    pub(super) fn unreadable(event: &Arc<RecordedEvent>, key: String, why: String) -> Self {
        let event = Arc::clone(event);
        Self { event, key, is_concurrent: false, steps: vec![], unreadable: Some(why) }
    }
}
