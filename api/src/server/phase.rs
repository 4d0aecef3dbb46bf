//! The phases of a server, as its connections see them.

/// What a server still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// Complete requests are answered, nothing else is.
    Draining,
    /// All connections are cut.
    Over,
}
