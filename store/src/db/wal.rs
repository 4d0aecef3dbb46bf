//! Compares a database's file with the write-ahead log next to it: whether the log holds anything that the file lacks,
//! and whether the two belong together.
//!
//! SQLite trusts every log that it finds next to a file. Next to a restored copy, the log from before undoes the
//! restore, or mixes pages of two times. The formats are those of SQLite's manual, "Database File Format" and
//! "WAL-mode File Format".
//!
//! The first page, which the log of a server's run begins with, shows whether the two belong together: it has the
//! number of the run ([`crate::db::sqlite::begin_run`]), and SQLite's counter of changes. The times of the files count
//! only where that page proves nothing: copying or repairing a file changes them.
//!
//! The file is read without SQLite: this process must not have it open through SQLite meanwhile.

use crate::error::StoreError;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{BufReader, ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const LOCKED_BYTE: u64 = 0x4000_0000;
/// With checksums over little-endian words; the next number says big-endian.
const MAGIC: u32 = 0x377f_0682;

/// A database's file and its write-ahead log.
#[derive(Debug)]
pub(crate) struct Pair {
    database: PathBuf,
    is_younger: bool,
    was_put_later: bool,
    /// Pages of the database according to the log.
    pages: u64,
    /// Pages of the file.
    in_file: u64,
    /// Pages that the log has.
    in_log: u64,
    /// Pages of the log that the file has with the same content.
    checkpointed: u64,
    /// A page that is in neither of the two.
    missing: Option<u64>,
    bond: Bond,
}

impl Pair {
    /// Reads both; `None` where there is no log next to the database, or an empty one.
    pub(crate) fn read(database: &Path) -> Result<Option<Self>, StoreError> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let path = PathBuf::from(path);
        let (file, log) = match (fs::metadata(database), fs::metadata(&path)) {
            (Ok(file), Ok(log)) => (file, log),
            (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            (Err(error), _) => return Err(StoreError::of_file(database, &error)),
            (_, Err(error)) => return Err(StoreError::of_file(&path, &error)),
        };
        let frames = match Frames::read(&path) {
            Ok(frames) => frames,
            // The last connection of another process checkpointed and removed it just now.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::of_file(&path, &error)),
        };
        let Some(frames) = frames.filter(|frames| !frames.latest.is_empty()) else {
            return Ok(None);
        };
        let pair = Self::compare(database, &file, &log, &frames);
        pair.map(Some).map_err(|error| StoreError::of_file(database, &error))
    }

    fn compare(
        database: &Path,
        file: &Metadata,
        log: &Metadata,
        frames: &Frames,
    ) -> std::io::Result<Self> {
        let modified = |of: &Metadata| (of.mtime(), of.mtime_nsec());
        let changed = |of: &Metadata| (of.ctime(), of.ctime_nsec());
        let size = u64::try_from(frames.page_size).unwrap_or(u64::MAX);
        let in_file = file.len() / size;
        let pages = File::open(database)?;
        let mut page = vec![0; frames.page_size];
        let bond = Bond::of(&pages, frames)?;
        let mut checkpointed = 0;
        for (number, content) in &frames.latest {
            let place = (number - 1).saturating_mul(size);
            if *number <= in_file && pages.read_exact_at(&mut page, place).is_ok() {
                checkpointed += u64::from(page == frames.page(*content)?);
            }
        }
        // SQLite never uses the page of its locks.
        let locks = LOCKED_BYTE / size + 1;
        let mut beyond = in_file + 1..=frames.pages;
        let missing = beyond.find(|page| *page != locks && !frames.latest.contains_key(page));
        Ok(Self {
            database: database.to_owned(),
            is_younger: modified(file) > modified(log),
            was_put_later: changed(file) > changed(log),
            pages: frames.pages,
            in_file,
            in_log: u64::try_from(frames.latest.len()).unwrap_or(u64::MAX),
            checkpointed,
            missing,
            bond,
        })
    }

    /// Whether the file has everything that the log has: then it doesn't matter.
    pub(crate) const fn is_checkpointed(&self) -> bool {
        self.checkpointed == self.in_log && self.in_file >= self.pages
    }

    /// Why the log can't be this file's, if that is certain or, where neither of the two decides, likely.
    pub(crate) fn is_foreign(&self) -> Option<String> {
        if self.is_checkpointed() {
            return None;
        }
        let name = self.database.display();
        if let Some(page) = self.missing {
            return Some(format!(
                "{name}-wal doesn't belong to {name}: neither of them has page {page} of {}",
                self.pages
            ));
        }
        self.is_of_another_file()
    }

    /// The same where pages may be missing that were free before they were ever written. Where the first page
    /// proves nothing, a process that died has left a log that is younger than its file, or from which some of
    /// the file's pages were just written.
    pub(crate) fn is_of_another_file(&self) -> Option<String> {
        let name = self.database.display();
        match self.bond {
            _ if self.is_checkpointed() => None,
            Bond::Proven => None,
            Bond::Refuted => Some(format!(
                "{name}-wal doesn't belong to {name}, which is of another time: the first pages of both have \
                 numbers that don't follow each other"
            )),
            Bond::Unknown => (self.is_younger && self.checkpointed == 0).then(|| {
                format!(
                    "{name}-wal doesn't seem to belong to {name}, which was written after it, and not from it"
                )
            }),
        }
    }

    /// Why the log may be left from before a restore, if that can't be ruled out.
    pub(crate) fn may_be_left_over(&self) -> Option<String> {
        let name = self.database.display();
        let left = || format!("{name}-wal was there before {name} was put in place");
        self.is_foreign().or_else(|| (!self.is_checkpointed() && self.was_put_later).then(left))
    }
}

/// Whether a file and a log belong together, by their first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bond {
    /// The file is of the log's time: the run that began the log has written its number into the file.
    Proven,
    /// It is of another time.
    Refuted,
    /// The log doesn't have the page, or has it of a program that gave its runs no numbers.
    Unknown,
}

/// Two numbers in the first page of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamps {
    /// Grows when this page is written. Each connection adds one to the number that it found, so that the number may
    /// also stay as it is, but never goes down or jumps.
    changes: u32,
    /// Whether the program that wrote the page last keeps that number.
    has_changes: bool,
    /// The number of the server's run.
    run: u32,
}

impl Stamps {
    fn of(page: &[u8]) -> Self {
        let changes = word(page, 24);
        Self { changes, has_changes: changes == word(page, 92), run: word(page, 60) }
    }
}

impl Bond {
    fn of(database: &File, frames: &Frames) -> std::io::Result<Self> {
        let (Some(first), Some(last)) = (frames.first_page_one, frames.latest.get(&1)) else {
            return Ok(Self::Unknown);
        };
        let mut header = [0; 100];
        match database.read_exact_at(&mut header, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Self::Unknown),
            Err(error) => return Err(error),
        }
        let (first, last) = (Stamps::of(&frames.page(first)?), Stamps::of(&frames.page(*last)?));
        Ok(Self::between(Stamps::of(&header), first, last))
    }

    /// Compares the file's first page with the first and the last content of that page in the log.
    const fn between(file: Stamps, first: Stamps, last: Stamps) -> Self {
        // An odd number that comes first wasn't checkpointed before the log continued, because of a reader: the file
        // may be of any earlier time.
        let is_of_before = first.run.is_multiple_of(2) && is_long_before(file.run, first.run);
        if is_of_before || file.run > last.run {
            return Self::Refuted;
        }
        let has_changes = file.has_changes && first.has_changes && last.has_changes;
        if has_changes
            && (is_long_before(file.changes, first.changes) || file.changes > last.changes)
        {
            return Self::Refuted;
        }
        let is_of_the_run = first.run > 0 && (first.run.is_multiple_of(2) || file.run >= first.run);
        if is_of_the_run { Self::Proven } else { Self::Unknown }
    }
}

/// Whether a number is smaller by more than one step.
const fn is_long_before(number: u32, other: u32) -> bool {
    number.saturating_add(1) < other
}

/// The committed frames of a write-ahead log.
struct Frames {
    file: File,
    page_size: usize,
    /// Of the database after the last commit.
    pages: u64,
    /// Where the newest content of each page begins.
    latest: BTreeMap<u64, u64>,
    /// Where the oldest content of the first page begins.
    first_page_one: Option<u64>,
}

impl Frames {
    /// `None` where SQLite would find nothing either.
    fn read(path: &Path) -> std::io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let mut header = [0; HEADER];
        if !filled(&mut file, &mut header)? {
            return Ok(None);
        }
        let (magic, page_size) = (word(&header, 0), word(&header, 8));
        let is_big = magic & 1 == 1;
        let mut sums = Sums { is_big, sums: (0, 0) };
        sums.add(header.get(..24).unwrap_or_default());
        let page_size = usize::try_from(page_size).unwrap_or(0);
        let is_size = page_size.is_power_of_two() && (512..=65536).contains(&page_size);
        if magic & !1 != MAGIC || !is_size || !sums.are(&header, 24) {
            return Ok(None);
        }
        let mut frames =
            Self { file, page_size, pages: 0, latest: BTreeMap::new(), first_page_one: None };
        frames.add_committed(&header, sums)?;
        frames.file.seek(SeekFrom::Start(0))?;
        Ok(Some(frames))
    }

    fn page(&self, place: u64) -> std::io::Result<Vec<u8>> {
        let mut page = vec![0; self.page_size];
        self.file.read_exact_at(&mut page, place)?;
        Ok(page)
    }

    /// Goes through the frames, as far as they are committed.
    fn add_committed(&mut self, header: &[u8], mut sums: Sums) -> std::io::Result<()> {
        let mut pending = BTreeMap::new();
        let mut first_page_one = None;
        let mut input = BufReader::with_capacity(1 << 18, &self.file);
        let mut frame = vec![0; FRAME_HEADER + self.page_size];
        let mut place = u64::try_from(HEADER + FRAME_HEADER).unwrap_or(0);
        let step = u64::try_from(frame.len()).unwrap_or(0);
        while filled(&mut input, &mut frame)? {
            if header.get(16..24) != frame.get(8..16) {
                break;
            }
            sums.add(frame.get(..8).unwrap_or_default());
            sums.add(frame.get(FRAME_HEADER..).unwrap_or_default());
            if !sums.are(&frame, 16) {
                break;
            }
            let page = u64::from(word(&frame, 0));
            pending.insert(page, place);
            first_page_one = first_page_one.or_else(|| (page == 1).then_some(place));
            place += step;
            let size = u64::from(word(&frame, 4));
            if size > 0 {
                self.pages = size;
                self.latest.append(&mut pending);
            }
        }
        let pages = self.pages;
        self.latest.retain(|page, _| *page > 0 && *page <= pages);
        self.first_page_one = first_page_one.filter(|_| self.latest.contains_key(&1));
        Ok(())
    }
}

/// SQLite's running checksum.
struct Sums {
    is_big: bool,
    sums: (u32, u32),
}

impl Sums {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let (first, second) = (self.word(pair, 0), self.word(pair, 4));
            let (a, b) = self.sums;
            let a = a.wrapping_add(first).wrapping_add(b);
            self.sums = (a, b.wrapping_add(second).wrapping_add(a));
        }
    }

    /// Whether the two words at this place are these sums.
    fn are(&self, bytes: &[u8], at: usize) -> bool {
        self.sums == (word(bytes, at), word(bytes, at + 4))
    }

    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        let word = word(bytes, at);
        if self.is_big { word } else { word.swap_bytes() }
    }
}

/// Four bytes, the first one highest.
fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_be_bytes(four.unwrap_or_default())
}

/// Fills the buffer; `false` where the input ends before.
fn filled(input: &mut impl std::io::Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match input.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Why a database without a write-ahead log can't be whole: its header says that it is longer.
pub(crate) fn cut_short(database: &Path) -> Result<Option<String>, StoreError> {
    let of_file = |error: std::io::Error| StoreError::of_file(database, &error);
    let length = fs::metadata(database).map_err(of_file)?.len();
    let mut header = [0; 100];
    if !filled(&mut File::open(database).map_err(of_file)?, &mut header).map_err(of_file)? {
        return Ok((length > 0).then(|| format!("{} is cut short", database.display())));
    }
    let size = match word(&header, 16) >> 16 {
        1 => 65536,
        size => u64::from(size),
    };
    // The number of pages is only valid where the two counters agree.
    let is_valid = header.get(24..28) == header.get(92..96);
    let expected = size * u64::from(word(&header, 28));
    let is_short = header.starts_with(b"SQLite format 3\0") && is_valid && expected > length;
    Ok(is_short.then(|| {
        format!("{} is cut short: it has {length} of {expected} bytes", database.display())
    }))
}
