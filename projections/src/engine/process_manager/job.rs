//! An event with its reactions.

use super::manager::{Reaction, Reactions};
use gdmarket_store::RecordedEvent;
use std::sync::Arc;

/// An event with its reactions.
pub(super) struct Job<S> {
    pub(super) event: Arc<RecordedEvent>,
    /// The key that is parked if the reactions can't be done.
    pub(super) key: String,
    /// Whether it may run concurrently with neighbours that are concurrent, too.
    pub(super) is_concurrent: bool,
    pub(super) steps: Vec<Reaction<S>>,
    /// Why the event can't be read, so that its reactions are unknown.
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
