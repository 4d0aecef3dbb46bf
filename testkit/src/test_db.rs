//! A database for one test, on either engine, which is dropped with its value.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::environment::{TEST_DATABASE_URL, variable};

/// The two engines that the log runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Two files in a folder.
    Sqlite,
    /// A database of a server.
    Postgres,
}

/// An empty database. It must live as long as anything uses its [`url`](TestDb::url).
#[derive(Debug)]
pub struct TestDb {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(TempDir),
    Database { server: String, name: String },
}

/// Drops the tables of views and empties the other derived tables, which are in the log's database.
const FORGET_VIEWS: &str = "DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename LIKE 'view\\_%' LOOP
        EXECUTE format('DROP TABLE %I', name);
    END LOOP;
    DELETE FROM checkpoints; DELETE FROM deadlines; DELETE FROM parked; DELETE FROM parked_events;
    DELETE FROM generations; DELETE FROM dropped;
    END $$";

/// Numbers the databases of one process.
static NEXT: AtomicU32 = AtomicU32::new(1);

impl TestDb {
    /// An empty folder for the two SQLite files.
    pub fn sqlite() -> Self {
        let folder = tempfile::Builder::new().prefix("gdmarket-test-").tempdir();
        let folder = folder.expect("a temporary folder");
        Self { url: format!("sqlite:{}", folder.path().display()), place: Place::Folder(folder) }
    }

    /// A fresh database on the server of `GDMARKET_TEST_DATABASE_URL`.
    ///
    /// # Panics
    /// When the variable is not set: the test fails and says what to set; it is never skipped.
    pub async fn postgres() -> Self {
        let Some(server) = variable(TEST_DATABASE_URL) else {
            panic!(
                "{TEST_DATABASE_URL} is not set, and a test on PostgreSQL is never skipped. Type \
                 scripts/test, which starts a server of its own, or name one on which databases \
                 may be created: export {TEST_DATABASE_URL}=postgres://postgres@127.0.0.1/postgres"
            )
        };
        Self::on_server(&server).await
    }

    /// A fresh database on the given server.
    pub async fn on_server(server: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let random = Uuid::from_u128(random_bits()).simple().to_string();
        let tail: String = random.chars().take(8).collect();
        let name = format!("gdmarket_test_{}_{number}_{tail}", process::id());
        execute(server, &format!("CREATE DATABASE {name}")).await.unwrap_or_else(|error| {
            panic!("no database could be created on the server of {TEST_DATABASE_URL}: {error}")
        });
        Self {
            url: with_database(server, &name),
            place: Place::Database { server: server.to_owned(), name },
        }
    }

    /// The URL to open the store with: `sqlite:<folder>` or `postgres://…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The engine of this database.
    pub fn engine(&self) -> Engine {
        match self.place {
            Place::Folder(_) => Engine::Sqlite,
            Place::Database { .. } => Engine::Postgres,
        }
    }

    /// Deletes everything that is derived from the log: views, checkpoints, deadlines. No process may have
    /// the database open meanwhile.
    pub async fn forget_views(&self) {
        match &self.place {
            Place::Folder(folder) => {
                for file in ["views.db", "views.db-wal", "views.db-shm"] {
                    let _not_there = std::fs::remove_file(folder.path().join(file));
                }
            }
            Place::Database { .. } => {
                execute(&self.url, FORGET_VIEWS).await.expect("forgetting the views");
            }
        }
    }

    /// Runs SQL on the log as an outsider, while programs may have it open.
    pub async fn log_sql(&self, sql: &str) {
        self.sql("log.db", sql).await;
    }

    /// Writes `count` registrations of about 4 KiB each, for items from `first` on: a log that fits into no
    /// pipe, socket or buffer.
    pub async fn write_long_items(&self, first: usize, count: usize) {
        let name = "x".repeat(4_000);
        let event = |no: usize| {
            let item = format!(
                "{{\"itemNo\":{no},\"ownerId\":7,\"itemName\":\"{name}\",\"itemPrice\":1}}"
            );
            format!("('item','{no}',1,'ItemRegistered','1','{{\"ItemRegistered\":{item}}}','{{}}')")
        };
        let numbers: Vec<usize> = (first..first + count).collect();
        // SQLite takes no statement over a million bytes.
        for some in numbers.chunks(100) {
            let events: Vec<String> = some.iter().copied().map(event).collect();
            self.log_sql(&format!(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, \
                 event_version, payload, metadata) VALUES {}",
                events.join(", ")
            ))
            .await;
        }
    }

    /// Runs SQL on the views as an outsider, while programs may have them open.
    pub async fn views_sql(&self, sql: &str) {
        self.sql("views.db", sql).await;
    }

    async fn sql(&self, file: &str, sql: &str) {
        match &self.place {
            Place::Folder(folder) => {
                let file = SqliteConnectOptions::new().filename(folder.path().join(file));
                let mut connection = file.connect().await.expect("the file");
                connection.execute(sql).await.expect("running the statement");
                connection.close().await.expect("closing the file");
            }
            Place::Database { .. } => execute(&self.url, sql).await.expect("running the statement"),
        }
    }

    /// The number that a query of the log returns.
    pub async fn log_number(&self, sql: &str) -> i64 {
        self.number("log.db", sql).await
    }

    /// The newest position of the log, 0 when it is empty.
    pub async fn head(&self) -> i64 {
        self.log_number("SELECT coalesce(max(position), 0) FROM events").await
    }

    /// The number that a query of the views returns.
    pub async fn views_number(&self, sql: &str) -> i64 {
        self.number("views.db", sql).await
    }

    async fn number(&self, file: &str, sql: &str) -> i64 {
        let number = match &self.place {
            Place::Folder(folder) => {
                let file = SqliteConnectOptions::new().filename(folder.path().join(file));
                let mut connection = file.connect().await.expect("the file");
                sqlx::query_scalar(sql).fetch_one(&mut connection).await
            }
            Place::Database { .. } => {
                let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
                sqlx::query_scalar(sql).fetch_one(&mut connection).await
            }
        };
        number.expect("a number")
    }

    /// The texts that a query of the log returns.
    pub async fn log_texts(&self, sql: &str) -> Vec<String> {
        self.texts("log.db", sql).await
    }

    /// The texts that a query of the views returns.
    pub async fn views_texts(&self, sql: &str) -> Vec<String> {
        self.texts("views.db", sql).await
    }

    async fn texts(&self, file: &str, sql: &str) -> Vec<String> {
        let texts = match &self.place {
            Place::Folder(folder) => {
                let file = SqliteConnectOptions::new().filename(folder.path().join(file));
                let mut connection = file.connect().await.expect("the file");
                sqlx::query_scalar(sql).fetch_all(&mut connection).await
            }
            Place::Database { .. } => {
                let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
                sqlx::query_scalar(sql).fetch_all(&mut connection).await
            }
        };
        texts.expect("texts")
    }

    /// The tables of views, including those of builds.
    pub async fn view_tables(&self) -> Vec<String> {
        let mut tables: Vec<String> = match &self.place {
            Place::Folder(folder) => {
                let file = SqliteConnectOptions::new().filename(folder.path().join("views.db"));
                let mut views = file.connect().await.expect("the views");
                let sql = "SELECT name FROM sqlite_master WHERE type = 'table'";
                sqlx::query_scalar(sql).fetch_all(&mut views).await.expect("their tables")
            }
            Place::Database { .. } => {
                let mut views = PgConnection::connect(&self.url).await.expect("a connection");
                let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
                sqlx::query_scalar(sql).fetch_all(&mut views).await.expect("their tables")
            }
        };
        tables.retain(|table| table.starts_with("view_"));
        tables.sort();
        tables
    }

    /// Every `table.column` of the log and of the views, sorted, without the engine's own tables.
    pub async fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = match &self.place {
            Place::Folder(folder) => {
                let mut columns = Vec::new();
                for file in ["log.db", "views.db"] {
                    let file = SqliteConnectOptions::new().filename(folder.path().join(file));
                    let mut connection = file.connect().await.expect("the file");
                    let sql = "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c \
                               WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'";
                    let found = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
                    columns.extend(found.expect("its columns"));
                }
                columns
            }
            Place::Database { .. } => {
                let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
                let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns \
                           WHERE table_schema = 'public'";
                sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("its columns")
            }
        };
        columns.sort();
        columns.dedup();
        columns
    }

    /// A copy of the database, like a backup. No process may have the database open meanwhile.
    pub async fn copy(&self) -> Self {
        match &self.place {
            Place::Folder(folder) => {
                let copy = Self::sqlite();
                copy_files(folder.path(), copy.folder().expect("a folder"));
                copy
            }
            Place::Database { server, name } => {
                let copy = Self::on_server(server).await;
                let Place::Database { name: copied, .. } = &copy.place else { return copy };
                let drop = format!("DROP DATABASE {copied}");
                let create = format!("CREATE DATABASE {copied} TEMPLATE {name}");
                for sql in [drop, create] {
                    execute(server, &sql).await.expect("copying the database");
                }
                copy
            }
        }
    }

    /// Replaces the database by a copy, as restoring a backup does. On PostgreSQL connections are cut and
    /// may be opened again; on SQLite no process may have the database open.
    pub async fn replace_by(&self, copy: Self) {
        match (&self.place, &copy.place) {
            (Place::Folder(folder), Place::Folder(older)) => {
                for entry in std::fs::read_dir(folder.path()).expect("the folder").flatten() {
                    let _no_database = std::fs::remove_file(entry.path());
                }
                copy_files(older.path(), folder.path());
            }
            (Place::Database { server, name }, Place::Database { name: copied, .. }) => {
                replace(server, name, copied).await.expect("replacing the database");
            }
            _ => panic!("the copy must be on the same engine"),
        }
    }

    /// Cuts the connections to the PostgreSQL database with this application name; returns their number.
    pub async fn cut_off(&self, application_name: &str) -> i64 {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name = $1 AND datname = current_database()";
        let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
        let cut = sqlx::query_scalar(sql).bind(application_name).fetch_one(&mut connection).await;
        cut.expect("ending the connections")
    }

    /// The data folder of a SQLite database.
    pub fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder.path()),
            Place::Database { .. } => None,
        }
    }
}

impl Drop for TestDb {
    /// Drops the database and cuts its connections. A database that can't be dropped, because its server is
    /// gone, goes with the server.
    fn drop(&mut self) {
        if let Place::Database { server, name } = &self.place {
            let (server, name) = (server.clone(), name.clone());
            // The test's runtime may be single-threaded or shutting down, so this uses a thread of its own.
            let dropping = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                if let Ok(runtime) = runtime {
                    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    drop(runtime.block_on(execute(&server, &sql)));
                }
            });
            drop(dropping.join());
        }
    }
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).expect("the folder").flatten() {
        if entry.file_name().to_string_lossy().contains(".db") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copying a file");
        }
    }
}

/// Cuts all connections and puts one database in the place of the other.
async fn replace(server: &str, name: &str, by: &str) -> sqlx::Result<()> {
    let cut_off = format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    for sql in [
        format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"),
        cut_off,
        format!("ALTER DATABASE {name} RENAME TO {name}_lost"),
        format!("ALTER DATABASE {by} RENAME TO {name}"),
        format!("DROP DATABASE {name}_lost"),
    ] {
        execute(server, &sql).await?;
    }
    Ok(())
}

async fn execute(server: &str, sql: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    connection.execute(sql).await?;
    connection.close().await
}

/// Random bits, so that two runs on one server use different names: each hasher has its own keys.
fn random_bits() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = || u128::from(RandomState::new().hash_one(process::id()));
    half() << 64 | half()
}

/// The URL of another database on the same server; the query part (socket, options) stays.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, None), |(a, q)| (a, Some(q)));
    let (scheme, rest) = address.split_once("://").unwrap_or(("postgres", address));
    let authority = rest.split('/').next().unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn database_of_a_url_is_replaced_and_the_rest_stays() {
        for (server, expected) in [
            ("postgres://a:b@host:1/postgres", "postgres://a:b@host:1/x"),
            ("postgresql://a@host", "postgresql://a@host/x"),
            ("postgres:///postgres?host=/run/pg&port=1", "postgres:///x?host=/run/pg&port=1"),
        ] {
            assert_eq!(with_database(server, "x"), expected);
        }
    }
}
