//! What went wrong, by what the caller can do about it. Nothing of the database's own words is
//! needed to decide; they are kept for the log.

use std::path::PathBuf;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database doesn't answer, or not in time. Nothing was done; the same again may succeed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Somebody else was faster: a compare-and-set met another value. Read again, decide again.
    #[error("somebody else was faster: {0}")]
    Conflict(String),
    /// The database refuses this very value; the same again is refused again.
    #[error("refused by the database: {0}")]
    Rejected(String),
    /// What is stored can't be understood. Nothing to be done in the program.
    #[error("the stored data can't be read: {0}")]
    Corrupt(String),
    /// The log isn't the one that was known here: it was restored from an older copy, or replaced.
    /// This store can't be used any more.
    #[error("this is not the log it was: {0}")]
    OtherLog(String),
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
    /// Another process serves from this data folder.
    #[error("the data folder {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The URL or an option can't be right.
    #[error("{0}")]
    Misconfigured(String),
}

impl StoreError {
    fn by_code(code: &str, message: String) -> Self {
        match kind_of(code) {
            CodeKind::Conflict => Self::Conflict(message),
            CodeKind::Data => Self::Rejected(message),
            CodeKind::Trouble => Self::Unavailable(message),
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
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let message = error.to_string();
        match error {
            rusqlite::Error::SqliteFailure(failure, _) => {
                Self::by_code(&failure.extended_code.to_string(), message)
            }
            _ => Self::Corrupt(message),
        }
    }
}

enum CodeKind {
    Conflict,
    Data,
    Trouble,
}

/// Five characters are PostgreSQL's SQLSTATE, digits are SQLite's extended result code.
fn kind_of(code: &str) -> CodeKind {
    if code.len() == 5 {
        return match code.get(..2) {
            Some("23" | "40") => CodeKind::Conflict,
            Some("22" | "21" | "42") => CodeKind::Data,
            _ => CodeKind::Trouble,
        };
    }
    // The primary code is the low byte: 19 a constraint, 18 too big, 20 a mismatch, 1 an error.
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(19) => CodeKind::Conflict,
        Ok(1 | 18 | 20 | 25) => CodeKind::Data,
        _ => CodeKind::Trouble,
    }
}
