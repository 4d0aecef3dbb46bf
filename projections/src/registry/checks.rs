//! The checks of a stored log, with the views and process managers of this program.

use super::{all_managers, all_views};
use crate::inspect::compatibility_check::CompatibilityCheck;
use crate::inspect::fold_check::{FoldCheck, Part};
use crate::inspect::reaction_check::ReactionCheck;
use crate::processes::options::Options;
use gdmarket_store::{Check, StoreError};

impl CompatibilityCheck {
    /// The check of one stream of this aggregate.
    pub fn of(aggregate: &str) -> Self {
        let concerned = all_views().into_iter().filter(|view| view.aggregate() == aggregate);
        Self::new(concerned.map(|view| view.stream_fold()).collect())
    }
}

impl FoldCheck {
    /// Starts a pass. Events after a view's checkpoint are folded, but not compared.
    pub async fn start(check: &mut Check, part: Part) -> Result<Self, StoreError> {
        let views = all_views().iter().map(|view| view.fold_check()).collect();
        Self::with_views(views, check, part).await
    }
}

impl ReactionCheck {
    /// Starts with the checkpoint of each manager; `now` is the current time, in microseconds.
    pub async fn start(check: &mut Check, options: &Options, now: i64) -> Result<Self, StoreError> {
        Self::with_managers(all_managers(options), check, now).await
    }
}
