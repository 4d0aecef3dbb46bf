//! The latency of a simulated call: the configured delay plus a random part of the jitter.

use std::time::Duration;

/// A duration between `delay_ms` and `delay_ms + jitter_ms`.
pub(crate) fn random_latency(delay_ms: u64, jitter_ms: u64) -> Duration {
    Duration::from_millis(delay_ms.saturating_add(rand::random_range(0..=jitter_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn latency_lies_between_the_delay_and_its_jitter() {
        let latencies: BTreeSet<u128> =
            (0..1000).map(|_| random_latency(40, 2).as_millis()).collect();
        assert_eq!(latencies, BTreeSet::from([40, 41, 42]));
        assert_eq!(random_latency(40, 0), Duration::from_millis(40));
    }
}
