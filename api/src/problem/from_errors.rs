//! The problems of the errors of both sides. No match has a wildcard, so that a new variant doesn't compile without a
//! problem of its own.

use super::{Problem, kind};
use gdmarket_app::{CommandError, Dependency, UseCaseError};
use gdmarket_projections::QueryError;
use http::HeaderValue;

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused { code, replayed }
            | CommandError::NotFound { code, replayed } => Self::of_code(&code).replayed(replayed),
            CommandError::WrongActor => Self::new(&kind::WRONG_ACTOR),
            CommandError::StaleVersion { current } => versioned(&kind::STALE_VERSION, current),
            CommandError::ExcludedVersion { current } => {
                versioned(&kind::PRECONDITION_FAILED, current)
            }
            CommandError::KeyReused => Self::new(&kind::KEY_REUSED),
            CommandError::Conflict { attempts } => {
                Self::new(&kind::BUSY).with_cause(format!("lost {attempts} races"))
            }
            CommandError::Unavailable { what, retry_after, cause } => {
                let kind = match what {
                    Dependency::Store => &kind::UNAVAILABLE,
                    Dependency::Payment => &kind::PAYMENT_UNAVAILABLE,
                    Dependency::Alarm => &kind::ALARM_UNAVAILABLE,
                };
                Self::new(kind).retry_after(retry_after).with_cause(cause)
            }
            CommandError::OutcomeUnknown { cause } => {
                Self::new(&kind::OUTCOME_UNKNOWN).with_cause(cause)
            }
            CommandError::NewerEvent => Self::new(&kind::NEWER_PROGRAM),
            CommandError::Rejected(cause)
            | CommandError::Damaged(cause)
            | CommandError::Broken(cause) => Self::internal(cause),
        }
    }
}

impl From<UseCaseError> for Problem {
    fn from(error: UseCaseError) -> Self {
        match error {
            UseCaseError::Command(error) => error.into(),
            UseCaseError::AfterWrite(QueryError::Unavailable(cause)) => {
                Self::new(&kind::OUTCOME_UNKNOWN).with_cause(cause)
            }
            UseCaseError::Query(error) | UseCaseError::AfterWrite(error) => error.into(),
        }
    }
}

/// Returns the current version with the problem, so that the caller can send it as `If-Match`.
fn versioned(kind: &'static kind::Kind, current: i64) -> Problem {
    let problem = Problem::new(kind);
    match HeaderValue::from_str(&format!("\"{current}\"")) {
        Ok(etag) => problem.with_header("etag", etag),
        Err(_) => problem,
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Unavailable(cause) => Self::new(&kind::UNAVAILABLE).with_cause(cause),
            QueryError::Newer(cause) => Self::new(&kind::NEWER_PROGRAM).with_cause(cause),
            QueryError::Broken(cause) | QueryError::Damaged(cause) => Self::internal(cause),
        }
    }
}
