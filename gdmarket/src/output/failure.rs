//! Failures of a command: an exit code for scripts, one clear line and the next step for people.

use crate::compose::StartError;
use gdmarket_projections::{QueryError, ReplayError};
use gdmarket_store::{StorageFault, StoreError};
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// The exit codes that callers may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command failed.
    Failed,
    /// Wrong usage, or an invalid configuration.
    Usage,
    /// A port, the database or a server can't be reached.
    Unreachable,
    /// A view differs from a rebuild.
    Differs,
    /// The log holds something that can't be read.
    Unreadable,
    /// Ctrl-C.
    Interrupted,
    /// The reader of stdout closed it: the program ends without a message.
    OutputClosed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Differs => 4,
            Exit::Unreadable => 5,
            Exit::Interrupted => 130,
            Exit::OutputClosed => 0,
        })
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong: one line for each fault.
    pub message: String,
    /// What to do next.
    pub next: Option<String>,
    /// Whether the cause is a damaged database.
    pub is_damage: bool,
}

impl Failure {
    /// A failure with a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next: None, is_damage: false }
    }

    /// A failure because of a damaged database.
    pub(crate) fn damage(message: String) -> Self {
        Self { is_damage: true, ..Self::new(Exit::Unreadable, message) }
    }

    /// A failure to write a result to stdout.
    pub(crate) fn of_stdout(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::new(Exit::OutputClosed, ""),
            _ => Self::new(Exit::Failed, format!("stdout: {error}")),
        }
    }

    /// Adds the next step.
    #[must_use]
    pub fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }
}

/// The next step for a damaged file.
const DAMAGED: &str =
    "see which file it is: gdmarket check; then docs/runbook.md, \"A damaged file\"";

/// The next step for a damaged `views.db`: the views are rebuilt from the log.
const DAMAGED_VIEWS: &str = "end the server and move views.db, views.db-wal and views.db-shm out of the \
     folder: they are built again from the log at the next start";

/// The next step for a write-ahead log that may be older than the restored log. The step that loses nothing comes
/// first.
const LEFT_OVER: &str = "if the two were copied together, or nothing was put in place at all, type: \
     gdmarket migrate --restored --with-wal; only if a copy was put in place alone, remove the -wal and -shm files \
     of before next to it, then type: gdmarket migrate --restored";

/// The next step for files or disks that refuse reads or writes.
const fn storage_advice(fault: StorageFault) -> &'static str {
    match fault {
        StorageFault::Full => "make room on the disk, then try again",
        StorageFault::ReadOnly | StorageFault::CannotOpen => {
            "check who owns the folder and its files (ls -la), and that they may be written"
        }
        StorageFault::Io | StorageFault::Unsynced => {
            "look at the system's log for errors of the disk"
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Unavailable(_) => Self::new(Exit::Unreachable, message)
                .next("check that the database runs and that database.url is right"),
            StoreError::Damaged(_) => {
                let next = if message.contains("views.db") { DAMAGED_VIEWS } else { DAMAGED };
                Self::damage(message).next(next)
            }
            StoreError::LogMissing(_) => Self::new(Exit::Failed, message).next(
                "put log.db back; for an empty market instead, move views.db out of the folder",
            ),
            StoreError::ForeignWal(_) => Self::new(Exit::Unreadable, message).next(LEFT_OVER),
            StoreError::Storage { fault, .. } => {
                Self::new(Exit::Failed, message).next(storage_advice(fault))
            }
            StoreError::Server { fault, .. } => {
                Self::new(Exit::Unreachable, message).next(fault.advice())
            }
            StoreError::Schema(_) => Self::new(Exit::Failed, message)
                .next("repair it as docs/runbook.md says under \"The schema lacks something\""),
            StoreError::Locked(_) => Self::new(Exit::Failed, message)
                .next("end the other one, or name another folder with --data-dir"),
            StoreError::Misconfigured(_) => Self::new(Exit::Usage, message),
            StoreError::OtherLog(_) => Self::new(Exit::Failed, message)
                .next("if a copy was put in place of the log or the views, type: gdmarket migrate --restored"),
            StoreError::NeedsMigration { .. } => {
                Self::new(Exit::Failed, message).next("type: gdmarket migrate")
            }
            StoreError::TooNew { .. } => {
                Self::new(Exit::Failed, message).next("install the newer gdmarket")
            }
            StoreError::Newer => {
                Self::new(Exit::Unreadable, message).next("install the newer gdmarket")
            }
            StoreError::Corrupt(_) => Self::new(Exit::Unreadable, message)
                .next("see what else can't be read: gdmarket check"),
            StoreError::Closed | StoreError::Conflict(_) | StoreError::Rejected(_) => {
                Self::new(Exit::Failed, message)
            }
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Unavailable(_) => Self::new(Exit::Unreachable, message)
                .next("check that the database runs and that database.url is right"),
            QueryError::Damaged(_) => Self::damage(message).next(DAMAGED),
            QueryError::Newer(_) => {
                Self::new(Exit::Unreadable, message).next("install the newer gdmarket")
            }
            QueryError::Broken(_) => Self::new(Exit::Unreadable, message)
                .next("look at the event: gdmarket events show POSITION"),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Views(ReplayError::Newer(_)) => {
                Self::new(Exit::Unreadable, error.to_string()).next("install the newer gdmarket")
            }
            StartError::Views(_) => Self::new(Exit::Failed, error.to_string()),
            StartError::Settings(_) => Self::new(Exit::Usage, error.to_string()),
            StartError::Folder { .. } => Self::new(Exit::Failed, error.to_string())
                .next("name a folder you may write to with --data-dir"),
        }
    }
}
