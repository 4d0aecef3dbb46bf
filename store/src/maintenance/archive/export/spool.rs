//! Everything of an export but its events, in a temporary file until the events are exported.

use super::Export;
use super::parts::ArchivePart;
use crate::maintenance::archive::ArchiveError;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _};

/// Bytes that are returned together.
const PIECE: usize = 256 * 1024;

/// Whole lines, in a file without a name: no other process can open it, and it ends with the program.
#[derive(Debug)]
pub(super) struct Spool(BufReader<File>);

impl Export {
    /// Reads all but the events, as fast as the disk takes it.
    pub(super) async fn spooled(&mut self) -> Result<Spool, ArchiveError> {
        let mut file = BufWriter::new(tempfile::tempfile()?);
        self.part = ArchivePart::Receipts(vec![]);
        while !matches!(self.part, ArchivePart::Manifest) {
            let mut lines = Vec::new();
            self.read(&mut lines).await?;
            file.write_all(&lines)?;
        }
        self.part = ArchivePart::Header;
        let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Spool(BufReader::with_capacity(PIECE, file)))
    }

    /// Returns some of its lines.
    pub(super) fn unspool(&mut self, lines: &mut Vec<u8>) -> Result<ArchivePart, ArchiveError> {
        let Some(Spool(file)) = &mut self.spool else { return Ok(ArchivePart::Manifest) };
        while lines.len() < PIECE {
            let start = lines.len();
            if file.read_until(b'\n', lines)? == 0 {
                return Ok(ArchivePart::Manifest);
            }
            // Without its end.
            self.chain.add(lines.get(start..lines.len().saturating_sub(1)).unwrap_or_default());
        }
        Ok(ArchivePart::Spool)
    }
}
