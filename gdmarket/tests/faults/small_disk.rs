//! A file system of a test's own, so small that it is soon full. Making one takes root: whoever isn't
//! leaves the test out, and `scripts/test` says so on its closing lines.

use gdmarket_testkit::note;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A file system in a folder. Dropped, it is taken away.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// For the test of this name; `None` where that isn't allowed.
    pub(crate) fn on(folder: &'a Path, size: &str, test: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "gdmarket-test"]).arg(folder);
        if mount.output().is_ok_and(|mounted| mounted.status.success()) {
            note(&format!("ran: {test}"));
            return Some(Self(folder));
        }
        note(&format!("NOT RUN: {test}: making a small file system takes root"));
        None
    }

    pub(crate) fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(self.0).status();
        assert!(grown.is_ok_and(|status| status.success()), "the disk grows");
    }

    /// Takes whatever room is left.
    pub(crate) fn fill(&self) {
        let full = fs::write(self.0.join("filler"), vec![0; 70 * 1024 * 1024]);
        assert!(full.is_err(), "more than the disk");
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Whoever is killed a moment later may still have a file open.
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}
