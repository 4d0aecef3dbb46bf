//! Why a feed gives no events.

use gdmarket_store::StoreError;

/// Why a feed gives no events. Nothing was skipped: the same read may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The database of this process can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source doesn't answer, or not in time: it is read again soon.
    #[error("{0}")]
    Unreachable(String),
    /// What the source gives is not the log that this feed reads: an operator must act.
    #[error("{0}")]
    Refused(String),
}
