//! How far the write-ahead log of an open database is checkpointed into its file, from the index that SQLite
//! shares between processes (<https://www.sqlite.org/walformat.html>, "The WAL-Index File Format").
//!
//! A checkpoint that a reader blocks leaves out pages that were written again later, the first page among them: until
//! it is complete, the file alone mixes two moments and proves nothing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Indexes that were read, by device and inode. They stay open as long as the process: closing a handle of a
/// file would end the locks that SQLite has on it in this process.
static OPEN: LazyLock<Mutex<HashMap<(u64, u64), File>>> = LazyLock::new(Mutex::default);

/// Bytes of the index up to its last field that is used here.
const HEAD: usize = 132;
/// Where the fields are, each four bytes in the order of this machine.
const FRAMES: usize = 16;
const BACKFILLED: usize = 96;
const ATTEMPTED: usize = 128;

/// The state of a write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalIndex {
    /// Frames in the write-ahead log.
    frames: u32,
    /// How many of them are in the database's file.
    backfilled: u32,
    /// How many the last checkpoint attempted.
    attempted: u32,
}

impl WalIndex {
    /// The index of this database's file; `None` where there is none, since no process has the database open.
    pub(crate) fn of(database: &Path) -> io::Result<Option<Self>> {
        let mut path = database.to_owned().into_os_string();
        path.push("-shm");
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match open.entry((found.dev(), found.ino())) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => place.insert(File::open(&path)?),
        };
        let mut head = [0; HEAD];
        match index.read_exact_at(&mut head, 0) {
            Ok(()) => Ok(Self::parse(&head)),
            // The file was created just now and is still empty.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = head.get(at..at.saturating_add(4))?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        Some(Self {
            frames: number(FRAMES)?,
            backfilled: number(BACKFILLED)?,
            attempted: number(ATTEMPTED)?,
        })
    }

    /// Nothing of the current write-ahead log is in the file, or all of it.
    pub(crate) const fn is_consistent(self) -> bool {
        self.attempted == 0 || (self.backfilled == self.attempted && self.backfilled == self.frames)
    }

    /// The part that a checkpoint changes and an append doesn't.
    pub(crate) const fn checkpoints(self) -> (u32, u32) {
        (self.backfilled, self.attempted)
    }
}
