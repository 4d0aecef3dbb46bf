//! What every session sets for itself. Defaults of the server, the database or the role are made for others: a
//! statement that they end, or a value that they make mean something else, would be a fault of the market's.
//!
//! `default_transaction_read_only` is left alone: who sets it wants that nothing is written.

use crate::error::StoreError;
use sqlx::PgConnection;

/// Limits of time first, so that they don't end the rest. A pool and the appender limit by themselves how long they
/// wait; only silence within a transaction is the server's to end.
const SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_session_timeout = 0; \
    SET idle_in_transaction_session_timeout = '5s'; \
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'; \
    SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off; \
    SET standard_conforming_strings = on; SET row_security = off";

/// The schema that unqualified names mean here, whether it has a log, whether `public` has one, and who set
/// `search_path`.
const SCHEMA: &str = "SELECT current_schema()::text, \
    to_regclass(quote_ident(current_schema()) || '.events') IS NOT NULL, \
    to_regclass('public.events') IS NOT NULL AND to_regclass('public.schema_migrations') IS NOT NULL, \
    (SELECT source FROM pg_settings WHERE name = 'search_path')";

/// The statements that a session begins with.
#[derive(Debug, Clone)]
pub(crate) struct SessionSettings {
    schema: String,
}

impl SessionSettings {
    /// Finds out which schema the log is in. A default of the role or the database that was changed later doesn't
    /// lead away from a log in `public`; a `search_path` that the URL sets counts always.
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let (current, has_log, public_has_log, source): (Option<String>, bool, bool, String) =
            sqlx::query_as(SCHEMA).persistent(false).fetch_one(connection).await?;
        let is_led_astray = !has_log && public_has_log && source != "client";
        let schema = if is_led_astray { Some("public".to_owned()) } else { current };
        schema.map(|schema| Self { schema }).ok_or_else(|| {
            StoreError::Misconfigured(
                "search_path names no schema of the database: create one, or name one in the URL \
                 (?options=-c%20search_path=SCHEMA)"
                    .to_owned(),
            )
        })
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
