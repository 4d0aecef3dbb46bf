//! The store's errors, by the caller's next step. The database's own message is kept for the log; no decision needs
//! it.

mod server_fault;

pub use server_fault::ServerFault;

use std::fmt;
use std::path::{Path, PathBuf};

/// Why the store could not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database doesn't answer, or not in time. Nothing was done; the same again may succeed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Another writer was faster: a compare-and-set met another value. Read again, decide again.
    #[error("another writer was faster: {0}")]
    Conflict(String),
    /// The database refuses this very value; the same again is refused again.
    #[error("refused by the database: {0}")]
    Rejected(String),
    /// Stored data can't be read, whatever the program does.
    #[error("the stored data can't be read: {0}")]
    Corrupt(String),
    /// The database itself is damaged: a page of a file is invalid. The same again meets it again.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The database's files or its disk refuse the work; an operator must act.
    #[error("{fault}: {why}")]
    Storage {
        /// The kind of fault.
        fault: StorageFault,
        /// The file, if it is known, and the message of the database or the system.
        why: String,
    },
    /// The PostgreSQL server refuses; an operator must act.
    #[error("{fault}: {why}")]
    Server {
        /// The kind of refusal.
        fault: ServerFault,
        /// The server's own message.
        why: String,
    },
    /// This store was closed: in order, or because its log can't be used any more.
    #[error("the store is closed")]
    Closed,
    /// The log isn't the one that was known here: it was restored from an older copy, or replaced.
    /// This store can't be used any more.
    #[error("this is not the log it was: {0}")]
    OtherLog(String),
    /// There is no log where views have read one. An empty one in its place would lose all events.
    #[error("the log is missing: {0}")]
    LogMissing(String),
    /// A write-ahead log lies next to the log that isn't its own.
    #[error("a write-ahead log is left over: {0}")]
    ForeignWal(String),
    /// An event was written by a newer program than this one.
    #[error("an event was written by a newer program")]
    Newer,
    /// The schema was made by a newer program and doesn't serve this one.
    #[error(
        "the schema has version {schema}, this program only knows {program}: upgrade the program"
    )]
    TooNew {
        /// The newest migration in the database.
        schema: i64,
        /// The newest migration of this program.
        program: i64,
    },
    /// Migrations of this program are missing in the database.
    #[error("the schema has version {schema}, this program needs {program}: run `migrate` first")]
    NeedsMigration {
        /// The newest migration in the database, 0 for an empty one.
        schema: i64,
        /// The newest migration of this program.
        program: i64,
    },
    /// The schema lacks a part that the log relies on: it was changed by hand, or restored in parts.
    #[error("the database's schema isn't as it must be: {0}")]
    Schema(String),
    /// Another process serves from this data folder.
    #[error("the data folder {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The URL or an option can't be right.
    #[error("{0}")]
    Misconfigured(String),
}

/// Why files can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFault {
    /// There is no room left.
    Full,
    /// They may be read but not written.
    ReadOnly,
    /// They can't be opened: rights, or something else than a file in their place.
    CannotOpen,
    /// The system reports an error of the device.
    Io,
    /// The system reports that written data may not be on the disk. Another try would succeed without them: the
    /// system discards data that it couldn't write.
    Unsynced,
}

impl fmt::Display for StorageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::ReadOnly => "the database can't be written",
            Self::CannotOpen => "the database's files can't be opened",
            Self::Io => "the disk reports an error",
            Self::Unsynced => "what was written could not be synced to the disk",
        })
    }
}

impl StoreError {
    /// The error of the system about a file that can't be used.
    pub(crate) fn of_file(file: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let fault = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageFault::Full,
            ErrorKind::ReadOnlyFilesystem => StorageFault::ReadOnly,
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::AlreadyExists => StorageFault::CannotOpen,
            _ => StorageFault::Io,
        };
        Self::Storage { fault, why: format!("{}: {error}", file.display()) }
    }

    /// The same error with the file that it is about, where the error is about a file.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        let place = |why: String| format!("{}: {why}", file.display());
        match self {
            Self::Damaged(why) => Self::Damaged(place(why)),
            Self::Storage { fault, why } => Self::Storage { fault, why: place(why) },
            other => other,
        }
    }

    /// The same error for another caller that waits for the same answer.
    pub(crate) fn for_another(&self) -> Self {
        match self {
            Self::Unavailable(why) => Self::Unavailable(why.clone()),
            Self::Damaged(why) => Self::Damaged(why.clone()),
            Self::Corrupt(why) => Self::Corrupt(why.clone()),
            Self::Storage { fault, why } => Self::Storage { fault: *fault, why: why.clone() },
            Self::Server { fault, why } => Self::Server { fault: *fault, why: why.clone() },
            other => Self::Unavailable(other.to_string()),
        }
    }

    /// The error for a code of either engine.
    pub(crate) fn by_code(code: &str, message: String) -> Self {
        match kind_of(code) {
            CodeKind::Conflict => Self::Conflict(message),
            CodeKind::Data => Self::Rejected(message),
            CodeKind::Damage => Self::Damaged(message),
            CodeKind::Storage(fault) => Self::Storage { fault, why: message },
            CodeKind::Server(fault) => Self::Server { fault, why: message },
            CodeKind::Unavailable => Self::Unavailable(message),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(database) => {
                let code = database.code().unwrap_or_default();
                Self::by_code(&code, database.message().to_owned())
            }
            E::ColumnDecode { .. } | E::Decode(_) | E::ColumnNotFound(_) | E::RowNotFound => {
                Self::Corrupt(error.to_string())
            }
            E::Configuration(_) => Self::Misconfigured(error.to_string()),
            E::PoolClosed => Self::Closed,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// SQLite's extended result codes of a failed sync, of a file and of its folder.
pub(crate) const UNSYNCED: [u32; 2] = [1034, 1290];

/// SQLite's extended result code where the index of a write-ahead log can't be made larger.
const NO_ROOM_FOR_INDEX: u32 = 4874;

/// PostgreSQL's states of a damaged table and of a damaged index.
pub(crate) const DAMAGED_STATES: [&str; 2] = ["XX001", "XX002"];

enum CodeKind {
    Conflict,
    Data,
    Damage,
    Storage(StorageFault),
    Server(ServerFault),
    Unavailable,
}

/// Five characters are PostgreSQL's SQLSTATE, digits are SQLite's extended result code.
fn kind_of(code: &str) -> CodeKind {
    if code.len() == 5 {
        return kind_of_state(code);
    }
    // The primary code is the low byte: 19 a constraint, 18 too big, 20 a mismatch, 1 an error.
    let code = code.parse::<u32>();
    if code.as_ref().is_ok_and(|code| UNSYNCED.contains(code)) {
        return CodeKind::Storage(StorageFault::Unsynced);
    }
    if code == Ok(NO_ROOM_FOR_INDEX) {
        return CodeKind::Storage(StorageFault::Full);
    }
    match code.map(|code| code & 0xff) {
        // A damaged page, or a file that is no database.
        Ok(11 | 26) => CodeKind::Damage,
        Ok(13) => CodeKind::Storage(StorageFault::Full),
        Ok(8) => CodeKind::Storage(StorageFault::ReadOnly),
        // No permission, can't open, not authorised.
        Ok(3 | 14 | 23) => CodeKind::Storage(StorageFault::CannotOpen),
        Ok(10) => CodeKind::Storage(StorageFault::Io),
        Ok(19) => CodeKind::Conflict,
        Ok(1 | 18 | 20 | 25) => CodeKind::Data,
        _ => CodeKind::Unavailable,
    }
}

fn kind_of_state(code: &str) -> CodeKind {
    if let Some(fault) = ServerFault::of(code) {
        return CodeKind::Server(fault);
    }
    match (code.get(..2), code) {
        (_, state) if DAMAGED_STATES.contains(&state) => CodeKind::Damage,
        (_, "53100") => CodeKind::Storage(StorageFault::Full),
        // A read-only transaction: a stand-by, or a default that a host has set.
        (_, "25006") => CodeKind::Storage(StorageFault::ReadOnly),
        (Some("58"), _) => CodeKind::Storage(StorageFault::Io),
        (Some("23" | "40"), _) => CodeKind::Conflict,
        (Some("22" | "21" | "42"), _) => CodeKind::Data,
        _ => CodeKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_testkit::run;

    async fn opened(file: &Path) -> StoreError {
        use sqlx::ConnectOptions as _;
        use sqlx::sqlite::SqliteConnectOptions;
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let read = async {
            let mut connection = options.connect().await?;
            sqlx::query("SELECT * FROM sqlite_master").execute(&mut connection).await
        };
        StoreError::from(read.await.unwrap_err()).in_file(file)
    }

    /// A fault that only an operator can repair is never "not available": that would be tried again for ever.
    #[test]
    fn damage_and_storage_faults_are_named_with_their_file() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("log.db");
            let error = opened(&file).await;
            let fault = StorageFault::CannotOpen;
            assert!(
                matches!(&error, StoreError::Storage { fault: f, .. } if *f == fault),
                "{error}"
            );
            assert!(error.to_string().contains("log.db"), "{error}");
            std::fs::write(&file, vec![7; 8192]).unwrap();
            let error = opened(&file).await;
            assert!(
                matches!(&error, StoreError::Damaged(why) if why.contains("log.db")),
                "{error}"
            );
        });
    }

    #[test]
    fn codes_of_sqlite_are_classified_by_remedy() {
        let of = |code: &str| StoreError::by_code(code, "why".to_owned()).to_string();
        assert_eq!((of("13"), of("4874")), ("the disk is full: why".into(), of("13")));
        assert_eq!(of("1032"), "the database can't be written: why");
        assert_eq!(of("522"), "the disk reports an error: why");
        let unsynced = "what was written could not be synced to the disk: why";
        assert_eq!((of("1034"), of("1290")), (unsynced.to_owned(), unsynced.to_owned()));
        assert_eq!(of("779"), "the database is damaged: why");
        assert_eq!(of("5"), "the database is not available: why");
    }

    #[test]
    fn states_of_postgresql_are_classified_by_remedy() {
        let of = |code: &str| StoreError::by_code(code, "why".to_owned()).to_string();
        assert_eq!(of("57014"), "a time limit of the database ended the statement: why");
        assert_eq!(of("28P01"), "the database server refuses the log-in: why");
        assert_eq!(of("3D000"), "the database server has no such database: why");
        assert_eq!(of("42501"), "the database role lacks a right: why");
        assert_eq!(of("26000"), "a pooler before the database mixes sessions: why");
        assert_eq!(of("XX001"), "the database is damaged: why");
        assert_eq!(of("25006"), "the database can't be written: why");
        assert_eq!(of("53100"), "the disk is full: why");
        assert_eq!(of("57P01"), "the database is not available: why");
    }
}
