//! How long a call of something in process takes: as long as it was told to, and at random a bit longer.

use std::time::Duration;

/// Between `delay_ms` and `jitter_ms` more, both in milliseconds.
pub(crate) fn drawn(delay_ms: u64, jitter_ms: u64) -> Duration {
    Duration::from_millis(delay_ms.saturating_add(rand::random_range(0..=jitter_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_lies_between_the_delay_and_its_jitter() {
        let drawn: BTreeSet<u128> = (0..1000).map(|_| drawn(40, 2).as_millis()).collect();
        assert_eq!(drawn, BTreeSet::from([40, 41, 42]));
        assert_eq!(super::drawn(40, 0), Duration::from_millis(40));
    }
}
