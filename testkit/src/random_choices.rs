//! Random choices that can be repeated.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A generator whose seed is printed, so that a failed run can be repeated with the same choices.
#[expect(clippy::print_stdout, reason = "the output of a test")]
pub fn seeded_rng(run: &str) -> StdRng {
    let seed = crate::environment::seed();
    println!("{run}: GDMARKET_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
