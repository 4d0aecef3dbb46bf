//! Refusals of a PostgreSQL server that trying again doesn't change: an operator must act. By SQLSTATE.

use std::fmt;

/// Why the server refuses every request of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFault {
    /// The role, its password, or the address that it comes from.
    Login,
    /// There is no database of this name.
    NoDatabase,
    /// The role lacks a right.
    Rights,
    /// A time limit of the role, the database or the server ended the statement.
    TimeLimit,
    /// All connections of the server, the role or the database are taken.
    NoConnectionLeft,
    /// Something between here and the server mixes sessions, or refuses parameters.
    Pooler,
}

impl ServerFault {
    pub(crate) fn of(code: &str) -> Option<Self> {
        Some(match code {
            "28000" | "28P01" => Self::Login,
            "3D000" => Self::NoDatabase,
            "42501" => Self::Rights,
            "57014" => Self::TimeLimit,
            "53300" => Self::NoConnectionLeft,
            // A prepared statement that is gone, or is there already; a parameter that isn't taken.
            "26000" | "42P05" | "08P01" => Self::Pooler,
            _ => return None,
        })
    }

    /// The operator's next step.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Login => {
                "check the role and its password in database.url, and the server's pg_hba.conf"
            }
            Self::NoDatabase => {
                "create it (CREATE DATABASE … ENCODING 'UTF8'), or name another one in database.url"
            }
            Self::Rights => {
                "give the role its rights: docs/runbook.md, \"Rights of the database role\""
            }
            Self::TimeLimit => {
                "look for statement_timeout of the role and the database (\\drds in psql), and for a lock that is held"
            }
            Self::NoConnectionLeft => {
                "raise max_connections or the role's CONNECTION LIMIT, or lower database.read_connections"
            }
            Self::Pooler => {
                "connect to PostgreSQL itself, or set the pooler to session mode: docs/runbook.md, \"Poolers\""
            }
        }
    }
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "the database server refuses the log-in",
            Self::NoDatabase => "the database server has no such database",
            Self::Rights => "the database role lacks a right",
            Self::TimeLimit => "a time limit of the database ended the statement",
            Self::NoConnectionLeft => "the database server has no connection left",
            Self::Pooler => "a pooler before the database mixes sessions",
        })
    }
}
