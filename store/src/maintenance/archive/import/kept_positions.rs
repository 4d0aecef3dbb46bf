//! Which positions of an archive belong to one of the logs that its log is divided into.

/// How many positions are kept of each log at least; what a subscriber has not read must be among them.
pub(super) const KEPT: usize = 1_000_000;

/// The positions of the events of one of the logs, the latest of them.
#[derive(Debug)]
pub(super) struct KeptPositions {
    latest: Vec<i64>,
    are_all: bool,
}

impl Default for KeptPositions {
    fn default() -> Self {
        Self { latest: vec![], are_all: true }
    }
}

impl KeptPositions {
    pub(super) fn add(&mut self, position: i64) {
        if self.latest.len() == 2 * KEPT {
            self.latest.drain(..KEPT);
            self.are_all = false;
        }
        self.latest.push(position);
    }

    /// The last one up to this position; 0 if there is none, nothing if it is too long ago.
    pub(super) fn up_to(&self, position: i64) -> Option<i64> {
        let count = self.latest.partition_point(|of| *of <= position);
        let found = count.checked_sub(1).and_then(|index| self.latest.get(index).copied());
        found.or_else(|| self.are_all.then_some(0))
    }

    pub(super) fn contains(&self, position: i64) -> bool {
        self.latest.binary_search(&position).is_ok()
    }
}
