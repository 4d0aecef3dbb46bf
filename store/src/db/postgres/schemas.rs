//! Which schema of a PostgreSQL database the market is in. `search_path` decides where new tables are created and where
//! tables are found, and a role, a database or a server may set it for other reasons: unchecked, the market would
//! start again, empty, in another schema, or continue with another market's tables.

use crate::error::StoreError;
use sqlx::PgConnection;

/// The schema of new tables; the schemas of the path, in their order, that have a market's tables; whether `public` has
/// them; and where the path was set.
const SCHEMAS: &str = "\
    SELECT current_schema()::text, \
    ARRAY(SELECT s.name::text FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (name, place) \
          WHERE s.name::text IN (SELECT has.name FROM has) ORDER BY s.place), \
    EXISTS (SELECT FROM has WHERE has.name = 'public'), \
    (SELECT source FROM pg_settings WHERE name = 'search_path')";
/// Schemas with a market's tables. Other programs have tables of these names too, but not this column.
const WITH_TABLES: &str = "\
    WITH has AS (SELECT n.nspname::text AS name FROM pg_namespace n \
    WHERE EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'events') \
    AND EXISTS (SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
        WHERE c.relnamespace = n.oid AND c.relname = 'schema_migrations' \
        AND a.attname = 'serves_from' AND NOT a.attisdropped))";

/// The schemas that `search_path` leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schemas {
    /// The first schema of the path that exists.
    current: Option<String>,
    /// Those of the path with a market's tables.
    with_tables: Vec<String>,
    public_has_tables: bool,
    /// Where the path was set: `client` is the URL.
    source: String,
}

impl Schemas {
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let sql = format!("{WITH_TABLES} {SCHEMAS}");
        let (current, with_tables, public_has_tables, source) =
            sqlx::query_as(&sql).persistent(false).fetch_one(connection).await?;
        Ok(Self { current, with_tables, public_has_tables, source })
    }

    /// Where the path was set.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The schema to use; or why that isn't certain.
    pub(super) fn chosen(&self) -> Result<&str, String> {
        let is_of_url = self.source == "client";
        let mut candidates: Vec<&str> = self.with_tables.iter().map(String::as_str).collect();
        // A path that was set for others later must not lead away from the market that is there.
        if self.public_has_tables && !is_of_url && !candidates.contains(&"public") {
            candidates.push("public");
        }
        match (candidates.as_slice(), self.current.as_deref()) {
            ([], None) => Err(format!(
                "search_path names no schema of the database: create one, or {NAME_ONE}"
            )),
            ([], Some(current)) => Ok(current),
            ([one], Some(current)) if is_of_url && *one != current => Err(format!(
                "search_path begins with the schema {current}, but the market's tables are in {one}: {NAME_ONE}"
            )),
            ([one], _) => Ok(one),
            (several, _) => Err(format!(
                "market tables are in more than one schema ({}; search_path is set by: {}): {NAME_ONE}",
                several.join(", "),
                self.source
            )),
        }
    }

    /// The schema that new tables would go to, where it isn't the chosen one.
    pub(super) fn passed_over(&self, chosen: &str) -> Option<&str> {
        self.current.as_deref().filter(|current| *current != chosen)
    }
}

const NAME_ONE: &str = "name the one that is meant in the URL (?options=-c%20search_path=SCHEMA)";

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas(current: Option<&str>, with_tables: &[&str], source: &str) -> Schemas {
        Schemas {
            current: current.map(str::to_owned),
            with_tables: with_tables.iter().map(|&name| name.to_owned()).collect(),
            public_has_tables: false,
            source: source.to_owned(),
        }
    }

    #[test]
    fn one_market_is_found_in_any_schema_and_two_are_refused() {
        for source in ["user", "database", "client"] {
            assert_eq!(schemas(Some("a"), &[], source).chosen(), Ok("a"), "an empty database");
            assert_eq!(schemas(Some("a"), &["a"], source).chosen(), Ok("a"));
            assert!(schemas(None, &[], source).chosen().is_err(), "no schema at all");
            assert!(schemas(Some("a"), &["a", "b"], source).chosen().is_err(), "two markets");
        }
        assert_eq!(schemas(Some("a"), &["b"], "user").chosen(), Ok("b"), "not a second market");
        assert!(schemas(Some("a"), &["b"], "client").chosen().is_err(), "which one is meant?");
    }

    #[test]
    fn search_path_of_others_does_not_hide_the_market_in_public() {
        let elsewhere = |with_tables: &[&str], source| {
            let found = schemas(Some("elsewhere"), with_tables, source);
            Schemas { public_has_tables: true, ..found }
        };
        assert_eq!(elsewhere(&[], "database").chosen(), Ok("public"));
        assert!(elsewhere(&["elsewhere"], "user").chosen().is_err());
        assert_eq!(elsewhere(&["elsewhere"], "client").chosen(), Ok("elsewhere"));
        assert_eq!(elsewhere(&[], "client").chosen(), Ok("elsewhere"), "another one is started");
    }
}
