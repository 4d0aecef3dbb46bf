//! A place in the log, as it is typed: a position, or a time.

use crate::output::{Exit, Failure};
use chrono::{DateTime, Utc};
use gdmarket_store::Store;
use std::str::FromStr;

/// `4711`, or `2027-01-05T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum LogPoint {
    /// After the event of this position.
    Position(i64),
    /// After the last event that was recorded by this time.
    Time(DateTime<Utc>),
}

impl FromStr for LogPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse::<i64>() {
            return match position {
                0.. => Ok(Self::Position(position)),
                _ => Err("a position is 0 or more".to_owned()),
            };
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
            "neither a position (4711) nor a time (2027-01-05T12:00:00Z, with its zone)".to_owned()
        })?;
        Ok(Self::Time(time.with_timezone(&Utc)))
    }
}

impl LogPoint {
    /// The position of this place. A position past the head is refused: it has no event yet.
    pub(in crate::cli) async fn position(self, store: &Store) -> Result<i64, Failure> {
        let position = match self {
            Self::Time(time) => {
                return Ok(store.log().position_at(time.timestamp_micros()).await?);
            }
            Self::Position(position) => position,
        };
        let head = store.log().head().await?;
        if position > head {
            return Err(Failure::new(
                Exit::Usage,
                format!("position {position} is past the log's last one, {head}"),
            ));
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_times_are_distinguished() {
        assert_eq!("12".parse(), Ok(LogPoint::Position(12)));
        let time = "2027-01-05T21:00:00+09:00".parse::<LogPoint>().unwrap();
        assert_eq!(time, "2027-01-05T12:00:00Z".parse().unwrap());
        for wrong in ["-1", "tomorrow", "2027-01-05", "2027-01-05T12:00:00", ""] {
            assert!(wrong.parse::<LogPoint>().is_err(), "{wrong}");
        }
    }
}
