//! The check on samples whether this program can read a stored log: every event passes through the
//! upcasters, every stream through the views that fold it. The check writes nothing.

use crate::engine::feed::{Unreadable, decode};
use crate::engine::projector::{Folded, fold};
use crate::engine::view::View;
use crate::engine::view_table::Stored;
use gdmarket_store::RecordedEvent;

/// The reason why this program can't read an event, if it can't.
pub fn unreadable(event: &RecordedEvent) -> Option<String> {
    match decode(event.as_event_ref()) {
        Ok(_) => None,
        Err(Unreadable::Newer(why) | Unreadable::Broken(why)) => Some(why),
    }
}

/// Folds one stream, event by event, with every view of its aggregate.
pub struct CompatibilityCheck(Vec<Box<dyn StreamFold>>);

/// A view that can't fold a stream, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The view.
    pub view: &'static str,
    /// The reason.
    pub why: String,
}

impl CompatibilityCheck {
    /// The check of one stream with these views.
    pub(crate) const fn new(views: Vec<Box<dyn StreamFold>>) -> Self {
        Self(views)
    }

    /// Folds the next event of the stream; a view that can't fold it is left out from then on.
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

    /// Folds an event; returns the reason if it can't.
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
        match fold::<V>(&mut self.0, event.as_event_ref()) {
            Folded::Taken => {
                // The row must be storable, too.
                serde_json::to_string(&self.0.row).err().map(|error| error.to_string())
            }
            Folded::Old => Some(format!("sequence {} came twice", event.sequence)),
            Folded::Poison(why) | Folded::Newer(why) => Some(why),
        }
    }
}
