//! The real program, built in release.

use anyhow::Context as _;
use std::path::PathBuf;
use std::process::Command;

/// Builds `gdmarket` in release unless it is up to date, and returns its path.
pub fn gdmarket() -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--locked", "-p", "gdmarket"]);
    // With the variables that cargo sets for a benchmark, build scripts and everything that depends on
    // them would be built again, now and the next time.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.to_string_lossy().starts_with(of))
        {
            cargo.env_remove(name);
        }
    }
    let built = cargo.status().context("cargo doesn't start")?;
    anyhow::ensure!(built.success(), "gdmarket doesn't build");
    // The program is in the parent of this benchmark's folder.
    let benchmark = std::env::current_exe()?;
    let folder = benchmark.parent().and_then(|deps| deps.parent()).context("the target folder")?;
    Ok(folder.join("gdmarket"))
}
