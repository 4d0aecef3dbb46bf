//! A view as of a position: a build up to there whose rows are shown and discarded.

use super::build::Build;
use super::build_source::{BuildSource, position_in};
use super::lease::BuildRight;
use super::{RebuildProgress, ReplayError};
use crate::engine::feed::Feeds;
use crate::engine::view::{Join, View};
use crate::engine::view_table::Stale;
use async_trait::async_trait;
use futures::future::BoxFuture;
use gdmarket_store::{Checkpoints, RowDocument, Store, TableRow};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Rows per query.
const ROWS: u32 = 1_000;

/// A request to show a view as of a position.
pub(crate) struct AsOf {
    pub(crate) feeds: Feeds,
    pub(crate) position: i64,
    /// The other view whose fields are shown with the rows, and the function that begins its build.
    pub(crate) join: Option<(Join, BeginJoined)>,
}

/// Begins the build of a view that is joined.
pub(crate) type BeginJoined =
    fn(Store, Feeds) -> BoxFuture<'static, Result<Box<dyn JoinedBuild>, ReplayError>>;

/// Begins a build of this view for [`AsOf::join`].
pub(crate) fn begin_joined<V: View>(
    store: Store,
    feeds: Feeds,
) -> BoxFuture<'static, Result<Box<dyn JoinedBuild>, ReplayError>> {
    Box::pin(async move {
        let build: Box<dyn JoinedBuild> = Box::new(Build::<V>::begin(&store, &feeds).await?);
        Ok(build)
    })
}

/// The build of a view whose fields are shown with the rows of another.
#[async_trait]
pub(crate) trait JoinedBuild: Send + Sync {
    fn right(&self) -> BuildRight;
    async fn fold_to(&mut self, position: i64) -> Result<(), ReplayError>;
    /// The bodies of these rows, by number.
    async fn bodies(&self, numbers: &[i64]) -> Result<HashMap<i64, Value>, ReplayError>;
    async fn discard(self: Box<Self>) -> Result<(), ReplayError>;
}

#[async_trait]
impl<V: View> JoinedBuild for Build<V> {
    fn right(&self) -> BuildRight {
        self.lease.right().clone()
    }

    async fn fold_to(&mut self, position: i64) -> Result<(), ReplayError> {
        let positions = self.positions_as_of(position).await?;
        Self::fold_to(self, &positions, &|_, _| {}).await
    }

    async fn bodies(&self, numbers: &[i64]) -> Result<HashMap<i64, Value>, ReplayError> {
        let rows = self.table.load(self.store.views(), numbers).await?;
        Ok(rows.into_iter().filter_map(|(no, stored)| Some((no, V::body(&stored.row)?))).collect())
    }

    async fn discard(self: Box<Self>) -> Result<(), ReplayError> {
        Self::discard(*self).await
    }
}

/// The receiver of the shown rows, and of the progress.
struct AsOfOutput<'a> {
    show: &'a mut (dyn FnMut(Value) + Send),
    progress: RebuildProgress<'a>,
}

/// The build of a joined view, and its fields.
#[derive(Clone, Copy)]
struct Joined<'a> {
    join: Join,
    build: &'a dyn JoinedBuild,
}

/// Shows the rows of a view as of a position, in the order of their numbers; returns the number of folded
/// events.
pub(crate) async fn as_of<V: View>(
    store: &Store,
    AsOf { feeds, position, join }: AsOf,
    show: &mut (dyn FnMut(Value) + Send),
    progress: RebuildProgress<'_>,
) -> Result<u64, ReplayError> {
    let build = Build::<V>::begin(store, &feeds).await?;
    let right = build.lease.right().clone();
    let output = AsOfOutput { show, progress };
    let Some((join, begin)) = join else {
        return right.hold(build_and_show(build, None, position, output)).await;
    };
    let mut other = begin(store.clone(), feeds).await?;
    let right_to_other = other.right();
    let both = async {
        other.fold_to(position).await?;
        let joined = Some(Joined { join, build: &*other });
        let shown = build_and_show(build, joined, position, output).await;
        other.discard().await?;
        shown
    };
    right.hold(right_to_other.hold(both)).await
}

async fn build_and_show<V: View>(
    mut build: Build<V>,
    joined: Option<Joined<'_>>,
    position: i64,
    output: AsOfOutput<'_>,
) -> Result<u64, ReplayError> {
    let shown = build.show_as_of(position, joined, output).await;
    let events = build.events;
    Build::discard(build).await?;
    shown.map(|()| events)
}

impl<V: View> Build<V> {
    /// Folds up to `position` and shows every row that was shown then, with the fields of the joined view.
    async fn show_as_of(
        &mut self,
        position: i64,
        joined: Option<Joined<'_>>,
        output: AsOfOutput<'_>,
    ) -> Result<(), ReplayError> {
        let AsOfOutput { show, progress } = output;
        let positions = self.positions_as_of(position).await?;
        Self::fold_to(self, &positions, progress).await?;
        let mut snapshot = self.store.views().snapshot().await?;
        let mut after = 0;
        loop {
            let rows = self.table.rows().part(&mut snapshot, after, ROWS).await?;
            let Some(last) = rows.keys().next_back() else { break };
            after = *last;
            let mut bodies = BTreeMap::new();
            for (number, whole) in rows {
                if let Some(body) = self.shown(whole.map_err(ReplayError::Broken)?)? {
                    bodies.insert(number, body);
                }
            }
            if let Some(joined) = joined {
                add_fields(joined, &mut bodies).await?;
            }
            bodies.into_values().for_each(&mut *show);
        }
        Ok(snapshot.rollback().await?)
    }

    /// A position of the own log, and in the logs of other services what the served view has read of them: only the own
    /// positions are ordered by the given one.
    async fn positions_as_of(&self, position: i64) -> Result<Vec<i64>, ReplayError> {
        if self.sources.iter().all(BuildSource::is_own) {
            return Ok(self.sources.iter().map(|_| position).collect());
        }
        let mut tx = self.store.views().snapshot().await?;
        let read = Checkpoints::at(&mut tx, &V::subscription()).await?;
        tx.rollback().await?;
        let position = |source: &BuildSource| {
            let served = position_in(&read, &source.log).unwrap_or(0);
            if source.is_own() { position } else { served }
        };
        Ok(self.sources.iter().map(position).collect())
    }

    fn shown(&self, row: TableRow) -> Result<Option<Value>, ReplayError> {
        if row.gone != 0 {
            return Ok(None);
        }
        let stored = self.table.read(RowDocument::from(row))?;
        let mut body = V::body(&stored.row);
        if let (Some(Value::Object(fields)), Some(stale)) = (&mut body, stored.stale) {
            fields.insert("stale".to_owned(), json!(Stale::from(stale)));
        }
        Ok(body)
    }
}

async fn add_fields(
    joined: Joined<'_>,
    bodies: &mut BTreeMap<i64, Value>,
) -> Result<(), ReplayError> {
    let numbers: Vec<i64> = bodies.keys().copied().collect();
    let others = joined.build.bodies(&numbers).await?;
    for (number, body) in bodies {
        let Value::Object(fields) = body else { continue };
        for name in joined.join.fields {
            let field = others.get(number).and_then(|other| other.get(*name));
            fields.insert((*name).to_owned(), field.cloned().unwrap_or_default());
        }
    }
    Ok(())
}
