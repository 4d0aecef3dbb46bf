//! The name of a loop: what it maintains or runs, and the log that it reads.

use gdmarket_store::SubscriptionId;
use metrics::Label;

/// The kind of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoopKind {
    /// It maintains a view.
    View,
    /// It runs a process manager.
    Manager,
}

/// A loop: what it maintains or runs, and the log that it reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LoopKey {
    pub(crate) kind: LoopKind,
    /// The name of the subscription; see [`SubscriptionId`].
    pub(crate) name: String,
    /// The name of the view with its version, or of the process manager.
    pub(crate) subscriber: String,
    /// The service whose log it reads; `None` for the own log.
    pub(crate) source: Option<&'static str>,
}

impl LoopKey {
    /// The loop of a subscriber at the log of a service; `None` for the own log.
    pub(crate) fn new(kind: LoopKind, subscriber: &str, source: Option<&'static str>) -> Self {
        let name = SubscriptionId::new(subscriber, source).to_string();
        Self { kind, name, subscriber: subscriber.to_owned(), source }
    }

    /// The labels of its metrics. A loop that reads the own log has no label for its source.
    pub(crate) fn labels(&self) -> Vec<Label> {
        let subscription = Label::new("subscription", self.subscriber.clone());
        let source = self.source.map(|source| Label::from_static_parts("source", source));
        std::iter::once(subscription).chain(source).collect()
    }
}
