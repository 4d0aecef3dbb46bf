//! The outcome of reacting to an event or a deadline.

use gdmarket_store::Parked;

/// The outcome of reacting to an event or a deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every reaction is done.
    Done,
    /// It queues behind a blocked key.
    Queue,
    /// It takes long and runs in the background of the batches.
    Later,
    /// It is tried again.
    Retry(String),
    /// It needs manual action.
    Park(String),
    /// Only a newer program can do it.
    Newer,
}

impl Outcome {
    /// Whether the key is blocked.
    pub(super) const fn stops(&self) -> bool {
        match self {
            Self::Done => false,
            Self::Queue | Self::Later | Self::Retry(_) | Self::Park(_) | Self::Newer => true,
        }
    }

    pub(super) const fn state(&self) -> &'static str {
        match self {
            Self::Park(_) => Parked::PARKED,
            Self::Done | Self::Queue | Self::Later | Self::Retry(_) | Self::Newer => {
                Parked::RETRYING
            }
        }
    }

    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Later => "takes long",
            Self::Retry(reason) | Self::Park(reason) => reason,
            Self::Done | Self::Queue | Self::Newer => "",
        }
    }
}
