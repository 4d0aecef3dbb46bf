//! Another client that writes to the log of a PostgreSQL database and leaves its transaction open.

use crate::test_db::TestDb;
use sqlx::{Connection, Executor, PgConnection};

/// An idle transaction that has appended an event, and blocks every other append.
#[derive(Debug)]
pub struct ForeignWriter {
    connection: PgConnection,
    pid: i32,
    watch: PgConnection,
}

impl ForeignWriter {
    /// Begins, appends to this stream, and stays idle. With `limited` the database's own
    /// `idle_in_transaction_session_timeout` ends the transaction, otherwise nothing does.
    pub async fn begin(db: &TestDb, stream: i64, limited: bool) -> Self {
        let insert = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                      event_version, payload, metadata) \
                      VALUES ('foreign', $1, 1, 'Written', '1', '{}', '{}')";
        Self::begin_with(db, insert, stream, limited).await
    }

    /// Like [`begin`](Self::begin) without a limit, with an event that the market reads: this item is registered.
    pub async fn begin_item(db: &TestDb, item: i64) -> Self {
        let insert = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                      event_version, payload, metadata) \
                      VALUES ('item', $1, 1, 'ItemRegistered', '1', json_build_object( \
                      'ItemRegistered', json_build_object('itemNo', $1::bigint, 'ownerId', 7, \
                      'itemName', 'Camera', 'itemPrice', 1)), '{}')";
        Self::begin_with(db, insert, item, false).await
    }

    async fn begin_with(db: &TestDb, insert: &str, stream: i64, limited: bool) -> Self {
        let connect = async || PgConnection::connect(db.url()).await.expect("a connection");
        let (mut connection, watch) = (connect().await, connect().await);
        if !limited {
            let unlimited = "SET idle_in_transaction_session_timeout = 0";
            connection.execute(unlimited).await.expect("setting the limit");
        }
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await;
        connection.execute("BEGIN").await.expect("beginning");
        let insert = sqlx::query(insert).bind(stream.to_string());
        insert.execute(&mut connection).await.expect("appending");
        Self { connection, pid: pid.expect("the backend's pid"), watch }
    }

    /// Whether the server still holds the transaction open.
    pub async fn is_there(&mut self) -> bool {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        let count: sqlx::Result<i64> =
            sqlx::query_scalar(sql).bind(self.pid).fetch_one(&mut self.watch).await;
        count.expect("asking the server") > 0
    }

    /// Commits the transaction.
    pub async fn commit(mut self) {
        self.connection.execute("COMMIT").await.expect("committing");
    }

    /// Rolls the transaction back.
    pub async fn roll_back(mut self) {
        self.connection.execute("ROLLBACK").await.expect("rolling back");
    }
}
