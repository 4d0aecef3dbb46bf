//! What a view is: a pure fold of the streams of one aggregate into a row per stream.
//!
//! A row is written by its own stream only, so the order between streams never matters and a rebuild
//! meets the same rows. What spans streams is joined when it is read ([`crate::Queries`]).

mod column;

pub use column::Column;

use gdmarket_domain::MarketEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A fold of one aggregate's streams.
pub trait View: Send + Sync + 'static {
    /// What the view is called; part of its table's and its subscription's name.
    const NAME: &'static str;
    /// Raised whenever [`View::Row`] or the fold changes: a new version has a table of its own and
    /// starts from zero.
    const VERSION: u32;
    /// Whose streams are folded.
    const AGGREGATE: &'static str;
    /// The columns of its table that people and queries read; what else the fold needs is kept as one
    /// document.
    const COLUMNS: &'static [Column<Self::Row>];
    /// What is kept per stream; its default is the stream before its first event.
    type Row: Serialize + DeserializeOwned + Default + Clone + PartialEq + Send + Sync + 'static;

    /// Takes the next event of the row's stream in.
    fn fold(row: &mut Self::Row, event: MarketEvent) -> Result<(), FoldError>;

    /// Whether the row is kept, but no longer shown.
    fn is_gone(row: &Self::Row) -> bool;

    /// The fields of another view that are shown with each row.
    const JOIN: Option<Join> = None;

    /// What is shown of the row by itself, before anything is joined; `None` if nothing is.
    fn body(row: &Self::Row) -> Option<serde_json::Value>;

    /// What the view's subscription is called, and part of its tables' names: a new version is a view
    /// of its own.
    fn subscription() -> String {
        format!("{}_v{}", Self::NAME, Self::VERSION)
    }
}

/// Fields of another view's body that are shown with the row of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// The other view's name.
    pub view: &'static str,
    /// The fields, as its body names them; `null` where it has no row.
    pub fields: &'static [&'static str],
}

/// Whether a subscription keeps a view, of whichever version: `name_v1`.
pub fn is_view(subscription: &str) -> bool {
    version_of(subscription).is_some()
}

/// The version of the view that a subscription keeps.
pub(crate) fn version_of(subscription: &str) -> Option<u32> {
    let (name, version) = subscription.rsplit_once("_v")?;
    if name.is_empty() { None } else { version.parse().ok() }
}

/// An event that a view can't take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// An event of another aggregate in this view's stream.
    #[error("the event belongs to another aggregate")]
    Foreign,
}
