//! How far the end of a server has come, as its connections see it.

/// How far the server's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// Complete requests are answered, nothing else is.
    Draining,
    /// Everything is cut.
    Over,
}
