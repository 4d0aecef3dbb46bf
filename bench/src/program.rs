//! The real program, built as it ships.

use anyhow::Context as _;
use std::path::PathBuf;
use std::process::Command;

/// Builds `gdmarket` in release, unless it is up to date, and tells where it is.
pub fn gdmarket() -> anyhow::Result<PathBuf> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "-p", "gdmarket-api"])
        .status()
        .context("cargo doesn't start")?;
    anyhow::ensure!(built.success(), "gdmarket doesn't build");
    // Beside the folder of this benchmark.
    let benchmark = std::env::current_exe()?;
    let folder = benchmark.parent().and_then(|deps| deps.parent()).context("the target folder")?;
    Ok(folder.join("gdmarket"))
}
