//! The peak resident memory of this process since a given moment, as Linux counts it.

use anyhow::Context as _;
use std::fs;

/// A measurement of the peak that has been started.
pub(crate) struct Peak;

impl Peak {
    /// Resets the peak.
    pub(crate) fn start() -> anyhow::Result<Self> {
        fs::write("/proc/self/clear_refs", "5").context("resetting the peak of memory")?;
        Ok(Self)
    }

    /// The peak since the start.
    #[expect(clippy::unused_self, reason = "there is no peak without a start")]
    pub(crate) fn mebibytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next());
        Ok(kibibytes.context("no VmHWM in /proc/self/status")?.parse::<u64>()? / 1024)
    }
}
