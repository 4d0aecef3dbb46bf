//! Removing the tables of interrupted builds.

use super::ViewTable;
use crate::engine::view::View;
use gdmarket_store::{Db, Leases, Leftover, RowTable, StoreError};

impl<V: View> ViewTable<V> {
    /// Removes the tables of interrupted builds: those under leases before this epoch, and those of other
    /// versions without a running build. Returns how many. The table of a later lease is never touched,
    /// since the caller's own lease may have ended. A table in use by a transaction is left to the next build.
    pub(crate) async fn remove_leftovers(db: &Db, epoch: i64) -> Result<usize, StoreError> {
        let prefix = format!("view_{}_v", V::NAME);
        let names = RowTable::names_with(db, &prefix).await?;
        let leases = Leases::new(db.clone()).all().await?;
        let is_leftover = |name: &&String| {
            // `view_x_v3_g2_7`; the name of a served table ends with its version.
            let Some((of, build_of)) = name.rsplit_once("_g") else { return false };
            let version = of.strip_prefix(&prefix).and_then(|version| version.parse::<u32>().ok());
            let build = of.replacen("view_", "build_", 1);
            let is_running = leases.iter().any(|lease| lease.name == build && !lease.is_over);
            match version {
                Some(version) if version == V::VERSION => is_before(build_of, epoch),
                Some(_) => !is_running,
                None => false,
            }
        };
        let mut removed = 0;
        for name in names.iter().filter(is_leftover) {
            match RowTable::remove_leftover(db, name).await? {
                Leftover::Removed => removed += 1,
                Leftover::InUse(why) => {
                    tracing::warn!(
                        table = name,
                        why,
                        "the table of an interrupted build is in use"
                    );
                }
            }
        }
        Ok(removed)
    }
}

/// Whether a build, `2_7` for generation 2 under epoch 7, ran under an earlier lease.
fn is_before(build_of: &str, epoch: i64) -> bool {
    let of_lease = build_of.rsplit_once('_').and_then(|(_, epoch)| epoch.parse::<i64>().ok());
    of_lease.is_none_or(|of_lease| of_lease < epoch)
}
