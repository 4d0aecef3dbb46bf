//! Benchmarks of GDmarket, run by `cargo bench -p gdmarket-bench`; the programs are in `benches/`.
//!
//! Each starts what it needs, measures its candidates in turn within one interleaved run, and
//! prints ratios: figures of one machine mean little, ratios of one run much more.
