//! A view: a pure fold of the streams of one aggregate into a row per stream.
//!
//! A row depends on its own stream only, so the order between streams never matters and a rebuild
//! gives the same rows. Data of several streams is joined when it is read ([`crate::Queries`]).

mod column;

pub use column::Column;

use gdmarket_domain::MarketEvent;
use gdmarket_store::SubscriptionId;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A fold of one aggregate's streams.
pub trait View: Send + Sync + 'static {
    /// The name of the view; part of the names of its table and its subscription.
    const NAME: &'static str;
    /// Raised whenever [`View::Row`] or the fold changes: a new version has a table of its own and
    /// is built from the beginning of the log.
    const VERSION: u32;
    /// The aggregate whose streams are folded.
    const AGGREGATE: &'static str;
    /// The columns of its table that people and queries read; the whole row is kept as one JSON document.
    const COLUMNS: &'static [Column<Self::Row>];
    /// The row of one stream; its default is the row before the first event.
    type Row: Serialize + DeserializeOwned + Default + Clone + PartialEq + Send + Sync + 'static;

    /// Applies the next event of the row's stream.
    fn fold(row: &mut Self::Row, event: MarketEvent) -> Result<(), FoldError>;

    /// Whether the row is stored, but no longer shown.
    fn is_gone(row: &Self::Row) -> bool;

    /// The fields of another view that are shown with each row.
    const JOIN: Option<Join> = None;

    /// The JSON that is shown of the row, before other views are joined; `None` if it isn't shown.
    fn body(row: &Self::Row) -> Option<serde_json::Value>;

    /// The name of the view's subscription, and part of its tables' names: a new version is a view of its
    /// own.
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

/// Whether a subscription is that of a view, `name_v1` in any version.
pub fn is_view(subscription: &str) -> bool {
    version_of(subscription).is_some()
}

/// The version of the view that a subscription maintains.
pub(crate) fn version_of(subscription: &str) -> Option<u32> {
    let SubscriptionId { subscriber, .. } = SubscriptionId::parse(subscription);
    let (name, version) = subscriber.rsplit_once("_v")?;
    if name.is_empty() { None } else { version.parse().ok() }
}

/// The reason why a view can't apply an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The event belongs to another aggregate.
    #[error("the event belongs to another aggregate")]
    Foreign,
}
