//! A view as it was at a position: a build up to there whose rows are shown and thrown away.

use super::build::Build;
use super::lease::Right;
use super::{RebuildProgress, ReplayError};
use crate::engine::view::{Join, View};
use crate::engine::view_table::Stale;
use async_trait::async_trait;
use futures::future::BoxFuture;
use gdmarket_store::{RowDocument, Store, TableRow};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Rows read at once.
const ROWS: u32 = 1_000;

/// What is shown of a view.
pub(crate) struct AsOf {
    pub(crate) position: i64,
    /// The other view whose fields are shown with the rows, and how its build begins.
    pub(crate) join: Option<(Join, BeginJoined)>,
}

/// Begins the build of a view that is joined.
pub(crate) type BeginJoined =
    fn(Store) -> BoxFuture<'static, Result<Box<dyn JoinedBuild>, ReplayError>>;

/// Begins a build of this view for [`AsOf::join`].
pub(crate) fn begin_joined<V: View>(
    store: Store,
) -> BoxFuture<'static, Result<Box<dyn JoinedBuild>, ReplayError>> {
    Box::pin(async move {
        let build: Box<dyn JoinedBuild> = Box::new(Build::<V>::begin(&store).await?);
        Ok(build)
    })
}

/// The build of a view whose fields are shown with the rows of another.
#[async_trait]
pub(crate) trait JoinedBuild: Send + Sync {
    fn right(&self) -> Right;
    async fn fold_to(&mut self, position: i64) -> Result<(), ReplayError>;
    /// The bodies of these rows, by number.
    async fn bodies(&self, numbers: &[i64]) -> Result<HashMap<i64, Value>, ReplayError>;
    async fn discard(self: Box<Self>) -> Result<(), ReplayError>;
}

#[async_trait]
impl<V: View> JoinedBuild for Build<V> {
    fn right(&self) -> Right {
        self.lease.right().clone()
    }

    async fn fold_to(&mut self, position: i64) -> Result<(), ReplayError> {
        Self::fold_to(self, position, &|_, _| {}).await
    }

    async fn bodies(&self, numbers: &[i64]) -> Result<HashMap<i64, Value>, ReplayError> {
        let rows = self.table.load(self.store.views(), numbers).await?;
        Ok(rows.into_iter().filter_map(|(no, stored)| Some((no, V::body(&stored.row)?))).collect())
    }

    async fn discard(self: Box<Self>) -> Result<(), ReplayError> {
        Self::discard(*self).await
    }
}

/// Shows the rows of a view as of a position, in the order of their numbers; returns how many events
/// that took.
pub(crate) async fn as_of<V: View>(
    store: &Store,
    AsOf { position, join }: AsOf,
    show: &mut (dyn FnMut(Value) + Send),
    progress: RebuildProgress<'_>,
) -> Result<u64, ReplayError> {
    let build = Build::<V>::begin(store).await?;
    let right = build.lease.right().clone();
    let Some((join, begin)) = join else {
        return right.hold(build_and_show(build, None, position, (show, progress))).await;
    };
    let mut other = begin(store.clone()).await?;
    let right_to_other = other.right();
    let both = async {
        other.fold_to(position).await?;
        let joined = Some((join, &*other));
        let shown = build_and_show(build, joined, position, (show, progress)).await;
        other.discard().await?;
        shown
    };
    right.hold(right_to_other.hold(both)).await
}

async fn build_and_show<V: View>(
    mut build: Build<V>,
    joined: Option<(Join, &dyn JoinedBuild)>,
    position: i64,
    (show, progress): (&mut (dyn FnMut(Value) + Send), RebuildProgress<'_>),
) -> Result<u64, ReplayError> {
    let shown = build.show_as_of(position, joined, (show, progress)).await;
    let events = build.events;
    Build::discard(build).await?;
    shown.map(|()| events)
}

impl<V: View> Build<V> {
    /// Folds up to `position` and shows every row that was shown then, by number, with the fields of the
    /// joined view.
    async fn show_as_of(
        &mut self,
        position: i64,
        joined: Option<(Join, &dyn JoinedBuild)>,
        (show, progress): (&mut (dyn FnMut(Value) + Send), RebuildProgress<'_>),
    ) -> Result<(), ReplayError> {
        Self::fold_to(self, position, progress).await?;
        let mut snapshot = self.store.views().snapshot().await?;
        let mut after = 0;
        loop {
            let rows = self.table.part(&mut snapshot, after, ROWS).await?;
            let Some(last) = rows.keys().next_back() else { break };
            after = *last;
            let mut bodies = BTreeMap::new();
            for (number, whole) in rows {
                if let Some(body) = self.shown(whole.map_err(ReplayError::Broken)?)? {
                    bodies.insert(number, body);
                }
            }
            if let Some((join, other)) = joined {
                add_fields(join, other, &mut bodies).await?;
            }
            bodies.into_values().for_each(&mut *show);
        }
        Ok(snapshot.rollback().await?)
    }

    fn shown(&self, row: TableRow) -> Result<Option<Value>, ReplayError> {
        if row.gone != 0 {
            return Ok(None);
        }
        let stored = self.table.read(RowDocument::from(row))?;
        let mut body = V::body(&stored.row);
        if let (Some(Value::Object(fields)), Some(since)) = (&mut body, stored.stale) {
            fields.insert("stale".to_owned(), json!(Stale::from(since)));
        }
        Ok(body)
    }
}

async fn add_fields(
    join: Join,
    other: &dyn JoinedBuild,
    bodies: &mut BTreeMap<i64, Value>,
) -> Result<(), ReplayError> {
    let numbers: Vec<i64> = bodies.keys().copied().collect();
    let others = other.bodies(&numbers).await?;
    for (number, body) in bodies {
        let Value::Object(fields) = body else { continue };
        for name in join.fields {
            let field = others.get(number).and_then(|other| other.get(*name));
            fields.insert((*name).to_owned(), field.cloned().unwrap_or_default());
        }
    }
    Ok(())
}
