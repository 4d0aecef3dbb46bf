//! What can go wrong when views are asked, by what the caller can do about it.

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The database doesn't answer now: the same again later.
    #[error("the views can't be read now: {0}")]
    Unavailable(String),
    /// The stream was written by a newer program.
    #[error("the stream was written by a newer program: {0}")]
    Newer(String),
    /// The stream or row can't be read; its view says so too.
    #[error("the data can't be read: {0}")]
    Broken(String),
}
