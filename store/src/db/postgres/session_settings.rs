//! The settings of every session. Defaults of the server, the database or the role are made for other programs: they
//! could end a statement, or change the meaning of a value.
//!
//! `default_transaction_read_only` stays: an operator that sets it wants no writes.

use super::schemas::Schemas;
use crate::error::StoreError;
use sqlx::{Executor, PgConnection};

/// Time limits first, so that they don't end the other statements. The pools and the appender limit by themselves how
/// long they wait; only an idle transaction is left to the server to end.
const SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_session_timeout = 0; \
    SET idle_in_transaction_session_timeout = '5s'; \
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'; \
    SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off; \
    SET standard_conforming_strings = on; SET row_security = off";

/// The statements that a session begins with.
#[derive(Debug, Clone)]
pub(crate) struct SessionSettings {
    schema: String,
}

impl SessionSettings {
    /// Finds the schema that the market is in, and stays with it: a default that is set later changes nothing. The
    /// session gets the settings first, since a short time limit would end it or the search.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] where that isn't certain.
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, StoreError> {
        connection.execute(SETTINGS).await?;
        let schemas = Schemas::of(connection).await?;
        let schema = schemas.chosen().map_err(StoreError::Misconfigured)?.to_owned();
        if let Some(first) = schemas.passed_over(&schema) {
            tracing::warn!(
                schema,
                first,
                search_path_is_of = schemas.source(),
                "search_path begins with another schema than the one that the market's tables are in"
            );
        }
        Ok(Self { schema })
    }

    /// The schema that unqualified names mean in these sessions.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// These settings, and others after them.
    pub(crate) fn with(&self, others: &[&str]) -> String {
        let schema = self.schema.replace('"', "\"\"");
        let mut settings = format!("{SETTINGS}; SET search_path = \"{schema}\"");
        for other in others {
            settings.push_str("; ");
            settings.push_str(other);
        }
        settings
    }
}
