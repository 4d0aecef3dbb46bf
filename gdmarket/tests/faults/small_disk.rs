//! A file system of a test's own, so small that it is soon full. Mounting one takes root: without it the test is
//! left out, and `scripts/test` reports that on its closing lines.

use gdmarket_testkit::note;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A file system mounted on a folder, unmounted when the value is dropped.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts it for the test of this name; `None` where that isn't allowed.
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

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let full = fs::write(self.0.join("filler"), vec![0; 70 * 1024 * 1024]);
        assert!(full.is_err(), "the filler is larger than the disk");
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // A process that is killed a moment later may still have a file open.
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}
