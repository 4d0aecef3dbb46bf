//! Whether this program can read a stored log, tried out on samples: every event through the upcaster
//! chain, every stream through the views that fold it. Nothing is written.

use crate::decoded::{Unreadable, decode};
use crate::projector::{Folded, fold};
use crate::view::View;
use crate::view_table::Stored;
use crate::views;
use gdmarket_store::RecordedEvent;

/// Why this program can't read an event, if it can't.
pub fn unreadable(event: &RecordedEvent) -> Option<String> {
    match decode(event.seen()) {
        Ok(_) => None,
        Err(Unreadable::Newer(why) | Unreadable::Broken(why)) => Some(why),
    }
}

/// A stream on its way through the views that fold it, event by event.
pub struct Trial(Vec<Box<dyn Folding>>);

/// A view that a stream doesn't go through, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The view.
    pub view: &'static str,
    /// What it says.
    pub why: String,
}

impl Trial {
    /// The trial of one stream of this aggregate.
    pub fn of(aggregate: &str) -> Self {
        let concerned = views::all().into_iter().filter(|view| view.aggregate() == aggregate);
        Self(concerned.map(|view| view.folding()).collect())
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
pub(crate) trait Folding: Send {
    fn name(&self) -> &'static str;

    /// Why it can't take an event in, if it can't.
    fn take(&mut self, event: &RecordedEvent) -> Option<String>;
}

struct Row<V: View>(Stored<V::Row>);

/// A view before the first event of a stream.
pub(crate) fn folding<V: View>() -> Box<dyn Folding> {
    Box::new(Row::<V>(Stored::new(0)))
}

impl<V: View> Folding for Row<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn take(&mut self, event: &RecordedEvent) -> Option<String> {
        match fold::<V>(&mut self.0, event.seen()) {
            Folded::Taken => {
                // It must be possible to keep the row, too.
                serde_json::to_string(&self.0.row).err().map(|error| error.to_string())
            }
            Folded::Old => Some(format!("sequence {} came twice", event.sequence)),
            Folded::Poison(why) | Folded::Newer(why) => Some(why),
        }
    }
}
