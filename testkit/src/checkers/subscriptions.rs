//! The subscriptions of views and process managers: each is at the head of the log that it reads, and nothing is parked.

use std::collections::HashMap;

use uuid::{Builder, Uuid};

use crate::test_db::{Engine, TestDb};

/// A process's database, by the name of the process.
type NamedDb<'a> = (&'a str, &'a TestDb);

/// The subscriptions in these databases that are behind, and what is parked in them.
pub async fn unfinished_subscriptions(databases: &[NamedDb<'_>]) -> Vec<String> {
    let mut heads = HashMap::new();
    for (name, db) in databases {
        heads.insert(log_id(db).await, (*name, db.head().await));
    }
    let mut unfinished = vec![];
    for (name, db) in databases {
        let sql = "SELECT subscription || ' ' || source || ' ' || CAST(position AS text) FROM checkpoints";
        let rows = db.views_texts(sql).await;
        assert!(!rows.is_empty(), "{name} has no subscription");
        unfinished.extend(rows.iter().filter_map(|row| behind(name, row, &heads)));
        let sql = "SELECT subscription || ' ' || key || ': ' || reason FROM parked";
        let parked = db.views_texts(sql).await;
        unfinished.extend(parked.into_iter().map(|row| format!("{name}: parked: {row}")));
    }
    unfinished
}

/// What a row of a subscription lacks, if it isn't at the head of its source.
fn behind(name: &str, row: &str, heads: &HashMap<Uuid, (&str, i64)>) -> Option<String> {
    let mut words = row.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (subscription, source, position) = (word(), word(), word());
    let source: Option<Uuid> = source.parse().ok();
    match source.and_then(|source| heads.get(&source)) {
        None => Some(format!("{name}: {row} reads a log that isn't here")),
        Some((_, head)) if head.to_string() == position => None,
        Some((log, head)) => {
            Some(format!("{name}: {subscription} is at {position} of {log}, whose head is {head}"))
        }
    }
}

async fn log_id(db: &TestDb) -> Uuid {
    let sql = match db.engine() {
        Engine::Sqlite => "SELECT lower(hex(log_id)) FROM identity",
        Engine::Postgres => "SELECT encode(log_id, 'hex') FROM identity",
    };
    let ids = db.log_texts(sql).await;
    let stored: Option<Uuid> = ids.first().and_then(|id| id.parse().ok());
    // SQLite stores random bytes, of which the program makes a random UUID.
    Builder::from_random_bytes(stored.expect("the identity of a log").into_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscription_that_is_behind_or_reads_an_unknown_log_is_reported() {
        let (log, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let heads = HashMap::from([(log, ("item", 7))]);
        let row = |source: Uuid, position: i64| format!("holding {source} {position}");
        assert_eq!(behind("item", &row(log, 7), &heads), None);
        assert!(behind("item", &row(log, 6), &heads).is_some());
        assert!(behind("item", &row(other, 7), &heads).is_some());
    }
}
