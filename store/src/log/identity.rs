//! The log's identity: a random id, which the first migration generates, and an epoch that restore and import raise. A
//! consumer on another epoch, or past the head, must stop.

use crate::db::{Db, Tx};
use crate::error::StoreError;
use crate::{on_db, on_tx};
use std::fmt;
use uuid::{Builder, Uuid};

const READ: &str = "SELECT log_id, epoch FROM identity WHERE id = 1";

const READ_KEY: &str = "SELECT token_key FROM identity WHERE id = 1";

/// The key that the tokens of this log's positions are signed with.
pub(crate) async fn token_key(db: &Db) -> Result<Vec<u8>, StoreError> {
    let key: Option<Vec<u8>> =
        on_db!(db, pool => sqlx::query_scalar(READ_KEY).fetch_one(pool).await?);
    key.filter(|key| key.len() >= KEY_BYTES)
        .ok_or_else(|| StoreError::Corrupt("the log has no key for its tokens".to_owned()))
}

/// A shorter key isn't accepted.
const KEY_BYTES: usize = 32;

/// A log's identity; together with a position it names an event for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The log.
    pub log_id: Uuid,
    /// Raised whenever positions may mean something else than before.
    pub epoch: i64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.log_id, self.epoch)
    }
}

impl Identity {
    /// Whether a checkpoint's columns name this very log in this very epoch.
    pub(crate) fn is(&self, source: &str, epoch: i64) -> bool {
        self.epoch == epoch && source == self.log_id.to_string()
    }

    pub(crate) async fn read(db: &Db) -> Result<Self, StoreError> {
        let (bytes, epoch): (Vec<u8>, i64) =
            on_db!(db, pool => sqlx::query_as(READ).fetch_one(pool).await?);
        Self::of(&bytes, epoch)
    }

    /// As a transaction sees it.
    pub(crate) async fn read_in(tx: &mut Tx) -> Result<Self, StoreError> {
        let (bytes, epoch): (Vec<u8>, i64) =
            on_tx!(tx, connection => sqlx::query_as(READ).fetch_one(connection).await?);
        Self::of(&bytes, epoch)
    }

    /// From the two columns of its row.
    pub(crate) fn of(bytes: &[u8], epoch: i64) -> Result<Self, StoreError> {
        let bytes = <[u8; 16]>::try_from(bytes)
            .map_err(|_| StoreError::Corrupt("the log's id is not 16 bytes".to_owned()))?;
        // The engines generate 16 random bytes; here they get the version and variant of a random UUID.
        Ok(Self { log_id: Builder::from_random_bytes(bytes).into_uuid(), epoch })
    }
}
