//! What one caller has seen: its reads never go back behind its own writes and earlier reads.

use std::collections::HashMap;

use crate::log_event::StreamName;

/// The newest version of each stream that the caller knows.
#[derive(Debug, Default)]
pub(super) struct Session(HashMap<StreamName, Known>);

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    version: i64,
    /// What showed it.
    by: &'static str,
}

impl Session {
    /// The stream that a resource shows.
    pub(super) fn stream(path: &str) -> Option<StreamName> {
        let (collection, number) = path.trim_start_matches('/').split_once('/')?;
        let kind = match collection {
            "items" => "item",
            "reservations" => "reservation",
            _ => return None,
        };
        Some(StreamName::new(kind, number.parse().ok()?))
    }

    /// A write was answered with this version.
    pub(super) fn wrote(&mut self, stream: &StreamName, version: i64) {
        self.know(stream, Known { version, by: "the answer to a write" });
    }

    /// A read showed this version; the fault if it is older than what the caller knows.
    pub(super) fn read(&mut self, stream: &StreamName, version: i64) -> Result<(), String> {
        let known = self.0.get(stream).copied().unwrap_or_default();
        self.know(stream, Known { version, by: "an earlier read" });
        if version < known.version {
            let Known { version: before, by } = known;
            return Err(format!("{stream} is shown at {version}, after {by} showed {before}"));
        }
        Ok(())
    }

    fn know(&mut self, stream: &StreamName, known: Known) {
        let newest = self.0.entry(stream.clone()).or_default();
        if known.version > newest.version {
            *newest = known;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_behind_a_write_or_an_earlier_read_is_a_fault() {
        let mut session = Session::default();
        let stream = Session::stream("/reservations/7").unwrap();
        session.wrote(&stream, 2);
        assert!(session.read(&stream, 1).is_err());
        assert!(session.read(&stream, 2).is_ok());
        assert!(session.read(&stream, 4).is_ok());
        assert!(session.read(&stream, 3).is_err());
        assert!(session.read(&Session::stream("/items/7").unwrap(), 1).is_ok());
        assert_eq!(Session::stream("/alarms/7"), None);
    }
}
