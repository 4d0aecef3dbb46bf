//! The output of an export: written, and compressed, on a thread of its own, so that the program reacts to Ctrl-C also
//! while a disk or pipe is slow.

use crate::output::{Exit, Failure};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};

/// How many parts wait to be written until reading the log waits, too.
const QUEUED_PARTS: usize = 8;
/// How many bytes are written at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// The level of zstd, fast enough for the database.
const ZSTD_LEVEL: i32 = 3;

/// The output of an export in progress. If it is dropped before [`Output::finish`], no file is left.
pub(super) struct Output {
    place: String,
    parts: mpsc::Sender<Vec<u8>>,
    ended: oneshot::Receiver<io::Result<()>>,
    part_file: Option<PartFile>,
}

/// The file, with the name that it has until it is complete.
struct PartFile {
    path: PathBuf,
    complete: PathBuf,
    is_complete: bool,
}

impl Output {
    pub(super) fn stdout(compressed: bool) -> Self {
        Self::start("stdout".to_owned(), compressed, io::stdout(), |_| Ok(()))
    }

    /// Starts writing to a file, which has another name until it is complete; an old file of that other name is
    /// overwritten.
    pub(super) fn file(path: &Path, compressed: bool) -> Result<Self, Failure> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        // Only the owner may read an export.
        let opened =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
        let file = opened.map_err(|error| cannot_write(&part.display().to_string(), &error))?;
        let mut output =
            Self::start(path.display().to_string(), compressed, file, |file: &File| {
                file.sync_all()
            });
        output.part_file =
            Some(PartFile { path: part, complete: path.to_owned(), is_complete: false });
        Ok(output)
    }

    fn start<W: Write + Send + 'static>(
        place: String,
        compressed: bool,
        target: W,
        sync: fn(&W) -> io::Result<()>,
    ) -> Self {
        let (parts, waiting) = mpsc::channel(QUEUED_PARTS);
        let (outcome, ended) = oneshot::channel();
        // A thread of the runtime that waits for a pipe would keep the program from ending.
        std::thread::spawn(move || {
            let target = BufWriter::with_capacity(BUFFER_BYTES, target);
            let written = write_all(waiting, compressed, target).and_then(|mut target| {
                target.flush()?;
                sync(target.get_ref())
            });
            drop(outcome.send(written));
        });
        Self { place, parts, ended, part_file: None }
    }

    /// Queues the next part; waits while the queue is full.
    pub(super) async fn write(&mut self, part: Vec<u8>) -> Result<(), Failure> {
        if self.parts.send(part).await.is_ok() {
            return Ok(());
        }
        Err(self.fault().await)
    }

    /// Waits until everything is written; a file is synced and gets its name.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        let Self { place, parts, ended, part_file } = self;
        drop(parts);
        let failed = |error: &io::Error| cannot_write(&place, error);
        ended.await.unwrap_or_else(|_| Err(writer_gone())).map_err(|error| failed(&error))?;
        if let Some(mut part) = part_file {
            part.complete().map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    async fn fault(&mut self) -> Failure {
        let ended = (&mut self.ended).await.unwrap_or_else(|_| Err(writer_gone()));
        cannot_write(&self.place, &ended.err().unwrap_or_else(writer_gone))
    }
}

impl PartFile {
    fn complete(&mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.complete)?;
        self.is_complete = true;
        // The name must survive a power cut, too.
        let folder = self.complete.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_complete
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "the next export overwrites what is left of this one");
        }
    }
}

fn write_all<W: Write>(
    mut waiting: mpsc::Receiver<Vec<u8>>,
    compressed: bool,
    mut target: W,
) -> io::Result<W> {
    if !compressed {
        while let Some(part) = waiting.blocking_recv() {
            target.write_all(&part)?;
        }
        return Ok(target);
    }
    let mut encoder = zstd::Encoder::new(target, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    while let Some(part) = waiting.blocking_recv() {
        encoder.write_all(&part)?;
    }
    encoder.finish()
}

fn writer_gone() -> io::Error {
    io::Error::other("the thread that writes is gone")
}

fn cannot_write(place: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{place} can't be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn file_gets_its_name_once_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("log"), folder.path().join("log.part"));
        let mut output = Output::file(&path, false).unwrap();
        output.write(b"one\n".to_vec()).await.unwrap();
        assert!(part.exists() && !path.exists());
        drop(output);
        assert!(!part.exists() && !path.exists(), "a dropped export leaves nothing");
        let mut output = Output::file(&path, false).unwrap();
        output.write(b"two\n".to_vec()).await.unwrap();
        output.finish().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
        assert!(!part.exists());
    }

    #[tokio::test]
    async fn full_disk_is_reported_and_leaves_nothing() {
        let mut output = Output::start("full".to_owned(), false, Full, |_| Ok(()));
        let started = tokio::time::Instant::now();
        let failure = loop {
            assert!(started.elapsed() < Duration::from_secs(20), "it is reported");
            if let Err(failure) = output.write(vec![b'x'; BUFFER_BYTES]).await {
                break failure;
            }
        };
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.message.contains("full can't be written"), "{}", failure.message);
    }

    /// A disk without room.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
