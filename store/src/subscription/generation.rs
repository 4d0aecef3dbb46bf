//! Which generation of a view is served. A view is rebuilt alongside the one that is served and then takes its place;
//! each rebuild counts one up. A view without a row here has never been built.

use crate::db::from_row::from_row;
use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::{on_db, on_tx};

/// The generations of one database.
#[derive(Clone, Debug)]
pub struct Generations(Db);

/// The generation that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The view's name and version.
    pub view: String,
    /// How many times it was built.
    pub number: i64,
    /// Up to which position it was built; its subscription continues from there.
    pub built_to: i64,
    /// When, in microseconds.
    pub built_at: i64,
}

from_row!(Generation: view, number, built_to, built_at);

const COLUMNS: &str = "view, generation AS number, built_to, built_at";

impl Generations {
    /// The generations that live in `db`.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// The served generation of this view; `None` if it was never built.
    pub async fn served(&self, view: &str) -> Result<Option<Generation>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM generations WHERE view = $1");
        Ok(on_db!(&self.0, pool => {
            sqlx::query_as(&sql).bind(view).fetch_optional(pool).await
        })?)
    }

    /// The served generation of every view, also of versions that this program doesn't know.
    pub async fn all(&self) -> Result<Vec<Generation>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM generations ORDER BY view");
        Ok(on_db!(&self.0, pool => sqlx::query_as(&sql).fetch_all(pool).await)?)
    }

    /// Serves generation `number` from the end of `tx` on.
    pub async fn serve(
        tx: &mut Tx,
        view: &str,
        number: i64,
        built_to: i64,
    ) -> Result<(), StoreError> {
        let now = tx.now();
        let sql = format!(
            "INSERT INTO generations (view, generation, built_to, built_at) \
             VALUES ($1, $2, $3, {now}) ON CONFLICT (view) DO UPDATE SET \
             generation = excluded.generation, built_to = excluded.built_to, \
             built_at = excluded.built_at"
        );
        Ok(on_tx!(tx, connection => {
            sqlx::query(&sql)
                .bind(view)
                .bind(number)
                .bind(built_to)
                .execute(connection)
                .await
                .map(drop)
        })?)
    }
}
