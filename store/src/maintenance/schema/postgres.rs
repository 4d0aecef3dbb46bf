//! The columns and keys of a PostgreSQL database, and what only PostgreSQL must have.

use super::Fact;
use crate::db::Session;
use crate::error::StoreError;
use sqlx::Postgres;
use std::collections::{BTreeMap, BTreeSet};

const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, a.attnotnull \
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') \
    AND a.attnum > 0 AND NOT a.attisdropped";
/// Columns of unique keys that hold at once and for every row.
const KEYS: &str = "SELECT c.relname::text, i.indexrelid::bigint, a.attname::text \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
    CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, ord) \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND k.ord <= i.indnkeyatts \
    AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate \
    AND i.indpred IS NULL AND i.indexprs IS NULL";

pub(super) async fn facts(session: &mut Session<Postgres>) -> Result<BTreeSet<Fact>, StoreError> {
    let columns: Vec<(String, String, bool)> =
        sqlx::query_as(COLUMNS).fetch_all(&mut *session).await?;
    let key_columns: Vec<(String, i64, String)> = sqlx::query_as(KEYS).fetch_all(session).await?;
    let mut facts = BTreeSet::new();
    for (table, column, not_null) in columns {
        if not_null {
            facts.insert(Fact::NotNull(table.clone(), column.clone()));
        }
        facts.insert(Fact::Column(table, column));
    }
    let mut keys: BTreeMap<(String, i64), BTreeSet<String>> = BTreeMap::new();
    for (table, key, column) in key_columns {
        keys.entry((table, key)).or_default().insert(column);
    }
    facts.extend(keys.into_iter().map(|((table, _), columns)| Fact::Unique(table, columns)));
    Ok(facts)
}

/// A trigger of `events` by its name: how it fires (`A` is always), its kind, and its function's text.
const TRIGGER: &str = "SELECT t.tgenabled::text, t.tgtype::bigint, p.prosrc \
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
    WHERE t.tgrelid = to_regclass('events') AND t.tgname = 'events_take_turns'";
/// How positions are allocated: whether by identity, how many a session caches, and by which step.
const IDENTITY: &str = "SELECT a.attidentity::text, s.seqcache, s.seqincrement, s.seqcycle \
    FROM pg_attribute a JOIN pg_sequence s \
    ON s.seqrelid = pg_get_serial_sequence('events', 'position')::regclass \
    WHERE a.attrelid = to_regclass('events') AND a.attname = 'position'";
/// The lock that makes the order of positions the order of commits.
const LOCK: &str = "pg_advisory_xact_lock(7450199991725811489)";
/// BEFORE (2) INSERT (4), for a statement and not for each row (1).
const BEFORE_INSERT: i64 = 2 | 4;
const KIND: i64 = 1 | 2 | 4;

pub(super) async fn faults(session: &mut Session<Postgres>) -> Result<Vec<String>, StoreError> {
    let mut faults: Vec<String> = encoding_fault(session).await?.into_iter().collect();
    let trigger: Option<(String, i64, String)> =
        sqlx::query_as(TRIGGER).fetch_optional(&mut *session).await?;
    faults.extend(trigger_fault(trigger.as_ref()).map(str::to_owned));
    let identity: Option<(String, i64, i64, bool)> =
        sqlx::query_as(IDENTITY).fetch_optional(session).await?;
    faults.extend(identity_faults(identity.as_ref()));
    Ok(faults)
}

/// Whether there are names that the database can't hold.
pub(super) async fn encoding_fault(
    session: &mut Session<Postgres>,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT current_setting('server_encoding')";
    let encoding: String = sqlx::query_scalar(sql).fetch_one(session).await?;
    Ok((encoding != "UTF8").then(|| {
        format!(
            "the database's encoding is {encoding}, and names need UTF8: create a database with ENCODING 'UTF8', and \
             move a log that is there with `gdmarket events export` and `import`"
        )
    }))
}

fn trigger_fault(trigger: Option<&(String, i64, String)>) -> Option<&'static str> {
    match trigger {
        None => Some("the trigger events_take_turns is missing: readers would skip events"),
        Some((fires, ..)) if fires != "A" => {
            Some("the trigger events_take_turns isn't ENABLE ALWAYS: readers would skip events")
        }
        Some((_, kind, text)) if kind & KIND != BEFORE_INSERT || !text.contains(LOCK) => {
            Some("the trigger events_take_turns doesn't take the lock before each INSERT statement")
        }
        Some(_) => None,
    }
}

fn identity_faults(identity: Option<&(String, i64, i64, bool)>) -> Vec<String> {
    let Some((kind, cache, step, cycles)) = identity else {
        return vec!["events.position has no sequence".to_owned()];
    };
    let mut faults = Vec::new();
    if kind != "a" && kind != "d" {
        faults.push("events.position isn't GENERATED AS IDENTITY".to_owned());
    }
    if *cache != 1 {
        faults.push(format!(
            "the sequence of events.position keeps {cache} numbers per session (CACHE must be 1): readers would skip \
             events"
        ));
    }
    if *step != 1 || *cycles {
        faults.push("the sequence of events.position doesn't count up by 1".to_owned());
    }
    faults
}
