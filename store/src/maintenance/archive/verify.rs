//! Verifies an archive without importing it: every line is read, the manifest and the hash chain are compared, and the
//! events of every stream must follow each other. No database is needed.

use super::ArchiveError;
use super::manifest::Manifest;
use super::reader::{ArchiveBatch, ArchiveReader};
use super::sequences::{Gap, Sequences};
use crate::log::RecordedEvent;

/// An archive that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Its manifest.
    pub manifest: Manifest,
    /// The first of its gaps. An archive with gaps can't be imported.
    pub gaps: Vec<Gap>,
    /// How many gaps there are.
    pub gap_count: u64,
}

/// Reads an archive to its end; `event` sees every event.
///
/// # Errors
/// [`ArchiveError::Line`] for the first line that isn't what it should be.
pub async fn verify(
    mut archive: ArchiveReader,
    mut event: impl FnMut(&RecordedEvent),
) -> Result<Verified, ArchiveError> {
    let log_id = archive.header().log_id.to_string();
    let (mut sequences, mut last) = (Sequences::default(), 0);
    let gone = || std::io::Error::other("the thread that reads it is gone");
    loop {
        match archive.batches.recv().await.ok_or_else(gone)?? {
            ArchiveBatch::Events(events) => {
                for found in &events {
                    last = found.position;
                    sequences.add(found);
                    event(found);
                }
            }
            ArchiveBatch::Checkpoints(checkpoints) => {
                let mut own = checkpoints.iter().filter(|line| line.source == log_id);
                if let Some(line) = own.find(|line| line.position > last) {
                    return Err(ArchiveError::Contradiction(format!(
                        "the checkpoint of {} is {}, past the last event {last}",
                        line.subscription, line.position
                    )));
                }
            }
            ArchiveBatch::End(manifest) => {
                let (gaps, gap_count) = sequences.gaps();
                return Ok(Verified { manifest, gaps: gaps.to_vec(), gap_count });
            }
            _ => {}
        }
    }
}
