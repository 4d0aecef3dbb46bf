//! The real program, built as it ships.

use anyhow::Context as _;
use std::path::PathBuf;
use std::process::Command;

/// Builds `gdmarket` in release, unless it is up to date, and tells where it is.
pub fn gdmarket() -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--locked", "-p", "gdmarket"]);
    // What cargo says to a benchmark about itself would make build scripts run again, and with them
    // everything above, now and the next time.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.to_string_lossy().starts_with(of))
        {
            cargo.env_remove(name);
        }
    }
    let built = cargo.status().context("cargo doesn't start")?;
    anyhow::ensure!(built.success(), "gdmarket doesn't build");
    // Beside the folder of this benchmark.
    let benchmark = std::env::current_exe()?;
    let folder = benchmark.parent().and_then(|deps| deps.parent()).context("the target folder")?;
    Ok(folder.join("gdmarket"))
}
