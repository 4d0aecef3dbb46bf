//! The log that an import fills: checked to be empty, locked, written, committed.

use super::postgres::ConnectionNames;
use super::{ArchiveBatch, ImportSource, postgres, rows, sqlite};
use crate::db::connection_guard::ConnectionGuard;
use crate::db::{Databases, Db, Tx, migration};
use crate::error::StoreError;
use crate::log::{Identity, LogIdentityGuard, NumberKind, Receipt, RecordedEvent};
use crate::maintenance::archive::ArchiveError;
use crate::maintenance::archive::line::{CheckpointLine, NumberLine};
use crate::maintenance::check::STEPS;
use crate::maintenance::restore::forget;
use crate::options::StoreOptions;
use crate::{failpoint, on_tx};
use std::sync::Arc;

/// An empty log that no other process uses, in transactions that are not committed yet.
pub(super) struct Target {
    databases: Databases,
    log: Tx,
    /// Checkpoints and what belongs to them, where they live in another file.
    views: Option<Tx>,
}

impl Target {
    /// Opens an empty log, or creates one; no other process may use it.
    pub(super) async fn open(
        options: &StoreOptions,
        is_derived: fn(&str) -> bool,
    ) -> Result<Self, ArchiveError> {
        let prefix = options.application_name.as_str();
        // Distinguishes this process's connections from those of another import.
        let own = format!("{prefix} import {}", std::process::id());
        let ours =
            StoreOptions { exclusive: true, application_name: own.clone(), ..options.clone() };
        let guard: Arc<dyn ConnectionGuard> = Arc::new(LogIdentityGuard::default());
        let databases = Databases::open(&ours, true, &guard).await?;
        let began = Self::begin(&databases, &ConnectionNames { own: &own, prefix }).await;
        let (log, views) = match began {
            Ok(transactions) => transactions,
            Err(error) => {
                databases.close().await;
                return Err(error);
            }
        };
        let mut target = Self { databases, log, views };
        // Rows of an import that was killed, or of a log that is gone. Numbers stay: none is ever given
        // twice.
        match forget(target.views(), is_derived).await {
            Ok(()) => Ok(target),
            Err(error) => {
                target.abandon().await;
                Err(error.into())
            }
        }
    }

    async fn begin(
        databases: &Databases,
        names: &ConnectionNames<'_>,
    ) -> Result<(Tx, Option<Tx>), ArchiveError> {
        create_schema(databases).await?;
        // On PostgreSQL the pool of the views is used: that of the log forbids reading whole tables.
        let (mut log, views) = match &databases.log {
            Db::Postgres(_) => (databases.views.begin().await?, None),
            Db::Sqlite { .. } => {
                (databases.log.begin().await?, Some(databases.views.begin().await?))
            }
        };
        must_be_empty(&mut log).await?;
        if let Tx::Postgres(transaction) = &mut log {
            postgres::lock(transaction, names).await?;
            must_be_empty(&mut log).await?;
        }
        Ok((log, views))
    }

    /// The transaction that checkpoints are written in.
    pub(super) const fn views(&mut self) -> &mut Tx {
        match &mut self.views {
            Some(views) => views,
            None => &mut self.log,
        }
    }

    /// Writes events until the source has something else, and returns that.
    pub(super) async fn events(
        &mut self,
        first: Vec<RecordedEvent>,
        source: &mut ImportSource<'_>,
    ) -> Result<ArchiveBatch, ArchiveError> {
        if let Tx::Postgres(transaction) = &mut self.log {
            return postgres::copy_events(transaction, first, source).await;
        }
        rows::events(&mut self.log, &first).await?;
        failpoint!("import.events");
        source.next().await
    }

    /// Writes receipts until the source has something else, and returns that.
    pub(super) async fn receipts(
        &mut self,
        first: Vec<Receipt>,
        source: &mut ImportSource<'_>,
    ) -> Result<ArchiveBatch, ArchiveError> {
        if let Tx::Postgres(transaction) = &mut self.log {
            return postgres::copy_receipts(transaction, first, source).await;
        }
        rows::receipts(&mut self.log, &first).await?;
        source.next().await
    }

    /// Writes the rows of the smaller tables.
    pub(super) async fn rows(&mut self, batch: &ArchiveBatch) -> Result<(), ArchiveError> {
        match batch {
            ArchiveBatch::Numbers(numbers) => rows::numbers(&mut self.log, numbers).await,
            ArchiveBatch::WriteOnceRecords(entries) => rows::books(&mut self.log, entries).await,
            ArchiveBatch::Persons(persons) => rows::persons(&mut self.log, persons).await,
            ArchiveBatch::Names(names) => rows::names(&mut self.log, names).await,
            ArchiveBatch::Deadlines(deadlines) => rows::deadlines(self.views(), deadlines).await,
            ArchiveBatch::Parked(parked) => rows::parked(self.views(), parked).await,
            ArchiveBatch::Waiting(waiting) => rows::waiting(self.views(), waiting).await,
            ArchiveBatch::Dropped(dropped) => rows::dropped(self.views(), dropped).await,
            ArchiveBatch::Events(_)
            | ArchiveBatch::Receipts(_)
            | ArchiveBatch::Checkpoints(_)
            | ArchiveBatch::End(_) => Ok(()),
        }
    }

    /// Writes checkpoints, whose leases no process holds yet.
    pub(super) async fn checkpoints(
        &mut self,
        checkpoints: &[CheckpointLine],
    ) -> Result<(), ArchiveError> {
        rows::checkpoints(self.views(), checkpoints).await
    }

    /// Notes the logs of other services, so that another log in their place is noticed.
    pub(super) async fn note_sources(
        &mut self,
        logs: &[(&str, Identity)],
    ) -> Result<(), ArchiveError> {
        rows::sources(self.views(), logs).await
    }

    /// Numbers continue after these at least.
    pub(super) async fn raise_numbers(&mut self, to: &[NumberLine]) -> Result<(), ArchiveError> {
        rows::numbers(&mut self.log, to).await
    }

    /// The same for numbers that events name before a stream has them: by the rows that are written by now.
    pub(super) async fn raise_numbers_in_use(
        &mut self,
        numbered: &[NumberKind<'_>],
    ) -> Result<(), ArchiveError> {
        for of in numbered {
            for user in of.users(matches!(&self.log, Tx::Postgres(_))) {
                let highest: Option<i64> = on_tx!(&mut self.log, connection => {
                    sqlx::query_scalar(&user.highest).fetch_one(connection).await?
                });
                let line = |last| NumberLine { kind: of.kind.to_owned(), last };
                let lines: Vec<NumberLine> = highest.map(line).into_iter().collect();
                self.raise_numbers(&lines).await?;
            }
        }
        Ok(())
    }

    /// Every stream begins with 1 and continues without gap, in the order of positions.
    pub(super) async fn check_sequences(&mut self) -> Result<(), ArchiveError> {
        type Step = (String, String, i64, i64, i64, i64);
        let found: Option<Step> = on_tx!(&mut self.log, connection => {
            sqlx::query_as(STEPS).bind(1_i64).fetch_optional(connection).await?
        });
        found.map_or(Ok(()), |(kind, id, sequence, position, ..)| {
            Err(ArchiveError::Contradiction(format!(
                "event {position} has sequence {sequence} of {kind}/{id}, which does not follow \
                 the event before it"
            )))
        })
    }

    /// Makes the log the one that was exported, with the next position after its last.
    pub(super) async fn become_log(
        &mut self,
        identity: &Identity,
        last_position: i64,
    ) -> Result<(), ArchiveError> {
        on_tx!(&mut self.log, connection => {
            sqlx::query("UPDATE identity SET log_id = $1, epoch = $2 WHERE id = 1")
                .bind(identity.log_id.as_bytes().as_slice())
                .bind(identity.epoch)
                .execute(connection)
                .await
                .map(drop)
        })?;
        match &mut self.log {
            Tx::Postgres(transaction) if last_position > 0 => {
                postgres::continue_after(transaction, last_position).await
            }
            Tx::Postgres(_) => Ok(()),
            // SQLite itself continues after the highest position, which may be that of another part of a divided log.
            Tx::Sqlite(transaction) => sqlite::continue_after(transaction, last_position).await,
        }
    }

    /// Makes it visible, the log last.
    pub(super) async fn commit(self) -> Result<(), ArchiveError> {
        let Self { databases, log, views } = self;
        let mut done = Ok(());
        if let Some(views) = views {
            done = views.commit().await;
            failpoint!("import.views");
        }
        if done.is_ok() {
            done = log.commit().await;
        }
        databases.close().await;
        Ok(done?)
    }

    /// Leaves the log as it was.
    pub(super) async fn abandon(self) {
        let Self { databases, log, views } = self;
        for tx in [Some(log), views].into_iter().flatten() {
            if let Err(error) = tx.rollback().await {
                tracing::debug!(%error, "the database rolls back by itself");
            }
        }
        databases.close().await;
    }
}

/// Creates the schema where there is none; an older one may hold a log, and stays.
async fn create_schema(databases: &Databases) -> Result<(), StoreError> {
    for (db, file) in databases.files() {
        match migration::check(db, file).await {
            Err(StoreError::NeedsMigration { schema: 0, .. }) => {
                migration::apply(db, file).await?;
            }
            checked => checked?,
        }
    }
    Ok(())
}

/// Other rows follow from events, or were left behind by an import that was killed.
async fn must_be_empty(log: &mut Tx) -> Result<(), ArchiveError> {
    for table in ["events", "receipts"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = on_tx!(&mut *log, connection => {
            sqlx::query_scalar(&sql).persistent(false).fetch_one(connection).await?
        });
        if count > 0 {
            return Err(ArchiveError::NotEmpty(format!("it holds {count} {table}")));
        }
    }
    Ok(())
}
