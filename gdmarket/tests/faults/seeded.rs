//! Random choices that can be made again.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Prints what the choices come from, so that a run that failed can be repeated with the same ones.
pub(crate) fn seeded(run: &str) -> StdRng {
    let seed = gdmarket_testkit::seed();
    println!("{run}: GDMARKET_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
