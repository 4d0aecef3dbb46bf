//! Which numbers of a kind the log uses: those of streams, and those that an event names before the
//! stream of that number begins.

use crate::db::{Db, Tx, migration};
use crate::error::StoreError;
use crate::on_tx;
use sqlx::Executor;

/// A kind of numbers, with their users in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberKind<'a> {
    /// Its name in the table of numbers.
    pub kind: &'a str,
    /// The types of the streams that have these numbers.
    pub stream_types: &'a [&'a str],
    /// The event that names a number of this kind before its stream begins, if there is one.
    pub named_by: Option<NamingEvent<'a>>,
}

/// An event whose payload names a number of another stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamingEvent<'a> {
    /// The type of the event.
    pub event_type: &'a str,
    /// The field of its payload.
    pub field: &'a str,
}

/// A user of the numbers of a kind.
pub(crate) struct NumberUser {
    /// How a finding names it, with the number after it.
    pub(crate) name: String,
    /// The statement that finds the highest number it uses; NULL for none.
    pub(crate) highest: String,
}

impl NumberKind<'_> {
    pub(crate) fn users(&self, is_postgres: bool) -> Vec<NumberUser> {
        let number = allocated_number(is_postgres);
        let of_streams = self.stream_types.iter().map(|stream_type| NumberUser {
            name: format!("there is {stream_type}/"),
            highest: format!(
                "SELECT max({number}) FROM events \
                 WHERE aggregate_type = '{stream_type}' AND sequence = 1"
            ),
        });
        let named = self.named_by.map(|event| event.user(is_postgres));
        of_streams.chain(named).collect()
    }

    /// Creates the index that finds numbers which events name, where there is none yet. It is no part of the
    /// migrations: the caller decides which event names which number.
    pub(crate) async fn make_index(&self, log: &Db) -> Result<(), StoreError> {
        let Some(event) = self.named_by else { return Ok(()) };
        let (name, number) =
            (format!("events_named_{}", self.kind), event.number(log.is_postgres()));
        let mut tx = log.begin().await?;
        migration::lock(&mut tx).await?;
        let find = match &tx {
            Tx::Postgres(_) => {
                "SELECT count(*) FROM pg_indexes \
                 WHERE schemaname = current_schema() AND indexname = $1"
            }
            Tx::Sqlite(_) => {
                "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = $1"
            }
        };
        let found: i64 = on_tx!(&mut tx, connection => {
            sqlx::query_scalar(find).bind(&name).fetch_one(connection).await?
        });
        // Only the owner may make one, so a role that only serves must find it.
        if found == 0 {
            let make = format!(
                "CREATE INDEX {name} ON events (({number})) WHERE event_type = '{}'",
                event.event_type
            );
            on_tx!(&mut tx, connection => {
                connection.execute(make.as_str()).await?;
            });
        }
        tx.commit().await
    }

    /// The statement that counts the uses of one number: bound as a number and as a text.
    pub(crate) fn uses(&self, is_postgres: bool) -> String {
        let types: Vec<String> = self.stream_types.iter().map(|t| format!("'{t}'")).collect();
        let of_streams = format!(
            "(SELECT count(*) FROM events WHERE aggregate_type IN ({}) AND aggregate_id = $2 \
             AND sequence = 1)",
            types.join(", ")
        );
        let Some(event) = self.named_by else { return format!("SELECT {of_streams}") };
        let NamingEvent { event_type, .. } = event;
        let number = event.number(is_postgres);
        format!(
            "SELECT {of_streams} + (SELECT count(*) FROM events \
             WHERE event_type = '{event_type}' AND {number} = $1)"
        )
    }
}

impl NamingEvent<'_> {
    fn user(&self, is_postgres: bool) -> NumberUser {
        let NamingEvent { event_type, field } = self;
        let number = self.number(is_postgres);
        NumberUser {
            name: format!("there is a {event_type} with {field} "),
            highest: format!(
                "SELECT CAST(max({number}) AS bigint) FROM events WHERE event_type = '{event_type}' \
                 AND {number} BETWEEN 1 AND 999999999999999"
            ),
        }
    }

    /// The expression for the number that an event names: that of the index, to the
    /// letter, so that the index is used. NULL where a damaged payload names none; no payload is refused by
    /// it, so on PostgreSQL the text is searched instead of parsed.
    fn number(&self, is_postgres: bool) -> String {
        let NamingEvent { event_type, field } = self;
        if is_postgres {
            format!(
                "CAST(substring(CAST(payload AS text) FROM \
                 '\"{field}\" *: *([1-9][0-9]{{0,14}}) *[,}}]') AS bigint)"
            )
        } else {
            format!("CASE WHEN json_valid(payload) THEN payload ->> '$.{event_type}.{field}' END")
        }
    }
}

/// An SQL expression for the number of a row's stream, NULL for an id that was not allocated: one in another
/// spelling, as a foreign program writes, or of more than fifteen digits, since a sequence that was
/// raised to such a number could allocate no others.
const fn allocated_number(is_postgres: bool) -> &'static str {
    if is_postgres {
        "CASE WHEN aggregate_id ~ '^[1-9][0-9]{0,14}$' THEN CAST(aggregate_id AS bigint) END"
    } else {
        "CASE WHEN aggregate_id GLOB '[1-9]*' AND aggregate_id NOT GLOB '*[^0-9]*' \
         AND length(aggregate_id) <= 15 THEN CAST(aggregate_id AS integer) END"
    }
}
