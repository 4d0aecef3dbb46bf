//! Checks on samples whether this program can read a stored log: every event goes through the upcaster
//! chain, every stream through the views that fold it. Nothing is written.

use crate::engine::feed::{Unreadable, decode};
use crate::engine::projector::{Folded, fold};
use crate::engine::view::View;
use crate::engine::view_table::Stored;
use gdmarket_store::RecordedEvent;

/// Why this program can't read an event, if it can't.
pub fn unreadable(event: &RecordedEvent) -> Option<String> {
    match decode(event.seen()) {
        Ok(_) => None,
        Err(Unreadable::Newer(why) | Unreadable::Broken(why)) => Some(why),
    }
}

/// Folds one stream, event by event, with every view of its aggregate.
pub struct CompatibilityCheck(Vec<Box<dyn StreamFold>>);

/// A view that can't fold a stream, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The view.
    pub view: &'static str,
    /// The reason that it gives.
    pub why: String,
}

impl CompatibilityCheck {
    /// The check of one stream by these views.
    pub(crate) const fn new(views: Vec<Box<dyn StreamFold>>) -> Self {
        Self(views)
    }

    /// Takes the next event of the stream; a view that can't is left out from then on.
    pub fn take(&mut self, event: &RecordedEvent) -> Vec<Failed> {
        let mut failed = Vec::new();
        self.0.retain_mut(|view| match view.take(event) {
            None => true,
            Some(why) => {
                failed.push(Failed { view: view.name(), why });
                false
            }
        });
        failed
    }
}

/// A view with the row of one stream.
pub(crate) trait StreamFold: Send {
    fn name(&self) -> &'static str;

    /// Why it can't fold an event, if it can't.
    fn take(&mut self, event: &RecordedEvent) -> Option<String>;
}

struct Row<V: View>(Stored<V::Row>);

/// A view before the first event of a stream.
pub(crate) fn stream_fold<V: View>() -> Box<dyn StreamFold> {
    Box::new(Row::<V>(Stored::new(0)))
}

impl<V: View> StreamFold for Row<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn take(&mut self, event: &RecordedEvent) -> Option<String> {
        match fold::<V>(&mut self.0, event.seen()) {
            Folded::Taken => {
                // It must be possible to store the row, too.
                serde_json::to_string(&self.0.row).err().map(|error| error.to_string())
            }
            Folded::Old => Some(format!("sequence {} came twice", event.sequence)),
            Folded::Poison(why) | Folded::Newer(why) => Some(why),
        }
    }
}
