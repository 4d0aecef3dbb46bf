//! Reads an archive: each line is parsed and chained on a thread of its own, the order of lines and positions is
//! checked, and rows are returned in batches, the manifest last.
//!
//! Nothing is proven before the manifest was read and matches, so that the writer of the batches must be able to undo
//! them.

use super::chain::Chain;
use super::line::{
    ArchiveLine, BookLine, CheckpointLine, DeadlineLine, DroppedLine, Header, NameLine, NumberLine,
    ParkedLine, PersonLine, WaitingLine,
};
use super::manifest::Manifest;
use super::{ArchiveError, FORMAT, FORMAT_VERSION};
use crate::log::{Receipt, RecordedEvent};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};
use tokio::sync::mpsc;

/// Longest line: an event far beyond what may be appended, of which each byte was escaped.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;
/// Rows of one kind that are returned together.
const ROWS: usize = 1000;
/// Bytes of lines after which a batch is returned.
const BYTES: usize = 1024 * 1024;
/// Batches waiting to be written before reading waits.
const WAITING: usize = 4;
/// How much of a file is read at once.
const BUFFER: usize = 256 * 1024;

/// Rows of one kind, in the order of the file.
#[derive(Debug)]
pub(super) enum ArchiveBatch {
    Events(Vec<RecordedEvent>),
    Receipts(Vec<Receipt>),
    Numbers(Vec<NumberLine>),
    Deadlines(Vec<DeadlineLine>),
    Checkpoints(Vec<CheckpointLine>),
    Parked(Vec<ParkedLine>),
    Waiting(Vec<WaitingLine>),
    Dropped(Vec<DroppedLine>),
    WriteOnceRecords(Vec<BookLine>),
    Persons(Vec<PersonLine>),
    Names(Vec<NameLine<'static>>),
    /// All lines were read and match the file's own manifest.
    End(Manifest),
}

/// A part of an archive that a caller once wrote.
#[derive(Debug)]
pub enum WrittenEntry<'a> {
    /// An event, with the actor in its metadata.
    Event(&'a RecordedEvent),
    /// A name of a person.
    Name {
        /// The stream that the name came with, or the person.
        of: std::fmt::Arguments<'a>,
        /// The name itself.
        name: &'a str,
    },
}

/// Why an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFault {
    /// Which field is wrong, and how.
    pub fault: String,
    /// The operator's next step.
    pub next: &'static str,
}

/// Refuses entries that no caller could have sent.
pub type CheckEntry = Box<dyn Fn(&WrittenEntry<'_>) -> Result<(), EntryFault> + Send>;

/// Why a line is refused.
enum LineFault {
    Damaged(String),
    Refused(EntryFault),
}

impl From<String> for LineFault {
    fn from(fault: String) -> Self {
        Self::Damaged(fault)
    }
}

impl From<EntryFault> for LineFault {
    fn from(fault: EntryFault) -> Self {
        Self::Refused(fault)
    }
}

/// An archive whose first line was read and is understood.
#[derive(Debug)]
pub struct ArchiveReader {
    header: Header,
    pub(super) batches: mpsc::Receiver<Result<ArchiveBatch, ArchiveError>>,
}

impl ArchiveReader {
    /// Reads the first line; the rest is read, on a thread of its own, as it is taken.
    pub async fn open(input: impl Read + Send + 'static) -> Result<Self, ArchiveError> {
        Self::open_checked(input, Box::new(|_| Ok(()))).await
    }

    /// As [`ArchiveReader::open`]; the line of an entry that isn't accepted ends the reading.
    pub async fn open_checked(
        input: impl Read + Send + 'static,
        accept: CheckEntry,
    ) -> Result<Self, ArchiveError> {
        let (send_header, header) = tokio::sync::oneshot::channel();
        let (batches, received) = mpsc::channel(WAITING);
        let reading = move || {
            let mut lines = LineReader::new(input);
            let header = match lines.header() {
                Ok(header) => header,
                Err(error) => return drop(send_header.send(Err(error))),
            };
            let parser = Parser::new(lines, &header, accept);
            if send_header.send(Ok(header)).is_ok()
                && let Some(last) = parser.run(&batches).transpose()
            {
                // The caller has gone away.
                drop(batches.blocking_send(last));
            }
        };
        // Not the runtime's: one that waits for a pipe would keep the program from ending.
        std::thread::Builder::new().name("archive".to_owned()).spawn(reading)?;
        let gone = |_| std::io::Error::other("the reading thread is gone");
        Ok(Self { header: header.await.map_err(gone)??, batches: received })
    }

    /// The header of the file.
    pub const fn header(&self) -> &Header {
        &self.header
    }
}

/// The lines of a file, counted and chained.
struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    chain: Chain,
}

impl<R: Read> LineReader<R> {
    fn new(input: R) -> Self {
        let input = BufReader::with_capacity(BUFFER, input);
        Self { input, line: Vec::new(), number: 0, chain: Chain::default() }
    }

    /// Reads the next line; `false` at the end of the file. A line without its end is none.
    fn next(&mut self) -> Result<bool, ArchiveError> {
        self.line.clear();
        self.number += 1;
        let limited = (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.line);
        let read = limited.map_err(|error| self.cut(&error))?;
        if read == 0 {
            return Ok(false);
        }
        if self.line.pop() != Some(b'\n') {
            return Err(self.fault("it ends in the middle: the file is cut short"));
        }
        Ok(true)
    }

    /// A compressed file that is cut short is reported this way; every other error is the disk's.
    fn cut(&self, error: &std::io::Error) -> ArchiveError {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData => {
                self.fault(&format!("it can't be read, the file is cut short or damaged: {error}"))
            }
            kind => ArchiveError::Io(std::io::Error::new(kind, error.to_string())),
        }
    }

    fn fault(&self, fault: &str) -> ArchiveError {
        ArchiveError::Line { line: self.number, fault: fault.to_owned() }
    }

    fn refuse(&self, fault: LineFault) -> ArchiveError {
        match fault {
            LineFault::Damaged(fault) => self.fault(&fault),
            LineFault::Refused(EntryFault { fault, next }) => {
                ArchiveError::Entry { line: self.number, fault, next }
            }
        }
    }

    fn header(&mut self) -> Result<Header, ArchiveError> {
        /// The beginning of every version of the format.
        #[derive(Deserialize)]
        struct Outer {
            header: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            format: String,
            version: u64,
        }
        if !self.next()? {
            return Err(self.fault("the file is empty"));
        }
        let inner = serde_json::from_slice::<Outer>(&self.line).ok().map(|outer| outer.header);
        let Some(Inner { version, .. }) = inner.filter(|inner| inner.format == FORMAT) else {
            return Err(self.fault("it is no header: the file is no archive of a log"));
        };
        if version > u64::from(FORMAT_VERSION) {
            return Err(ArchiveError::Newer(version));
        }
        let header = match serde_json::from_slice(&self.line) {
            Ok(ArchiveLine::Header(header)) if (1..=FORMAT_VERSION).contains(&header.version) => {
                header
            }
            Ok(_) => return Err(self.fault("there is no such version of the format")),
            Err(error) => return Err(self.fault(&error.to_string())),
        };
        if header.epoch < 1 || header.epoch == i64::MAX {
            return Err(self.fault("the epoch is out of range"));
        }
        self.chain.add(&self.line);
        Ok(header)
    }
}

/// Makes batches of lines.
struct Parser<R> {
    lines: LineReader<R>,
    manifest: Manifest,
    has_persons: bool,
    /// Which kind the last line was; kinds come in one order.
    rank: u8,
    accept: CheckEntry,
}

impl<R: Read> Parser<R> {
    fn new(lines: LineReader<R>, header: &Header, accept: CheckEntry) -> Self {
        let (manifest, has_persons) = (header.begin_manifest(), header.personal_data);
        Self { lines, manifest, has_persons, rank: 0, accept }
    }

    /// Reads to the end; returns the last batch, or nothing when the receiver is gone.
    fn run(
        mut self,
        batches: &mpsc::Sender<Result<ArchiveBatch, ArchiveError>>,
    ) -> Result<Option<ArchiveBatch>, ArchiveError> {
        let (mut batch, mut bytes) = (ArchiveBatch::Events(Vec::with_capacity(ROWS)), 0);
        loop {
            if !self.lines.next()? {
                return Err(self.lines.fault("the manifest is missing: the file is cut short"));
            }
            let line = std::mem::take(&mut self.lines.line);
            let parsed: ArchiveLine<'_> = match serde_json::from_slice(&line) {
                Ok(parsed) => parsed,
                Err(error) => return Err(self.lines.fault(&error.to_string())),
            };
            if let ArchiveLine::Manifest(_) = parsed {
                if batches.blocking_send(Ok(batch)).is_err() {
                    return Ok(None);
                }
                self.lines.line = line;
                return self.end().map(|manifest| Some(ArchiveBatch::End(manifest)));
            }
            self.check(&parsed)?;
            check_name(&parsed, &self.accept).map_err(|fault| self.lines.refuse(fault.into()))?;
            self.lines.chain.add(&line);
            parsed.count_in(&mut self.manifest);
            let added = batch.add(parsed, &self.accept);
            let full = match added.map_err(|fault| self.lines.refuse(fault))? {
                Added::Here(rows) => {
                    (rows >= ROWS || bytes + line.len() >= BYTES).then(|| batch.begin_alike())
                }
                Added::Elsewhere(next) => Some(next),
            };
            bytes += line.len();
            if let Some(next) = full {
                bytes = 0;
                if batches.blocking_send(Ok(std::mem::replace(&mut batch, next))).is_err() {
                    return Ok(None);
                }
            }
            self.lines.line = line;
        }
    }

    /// Kinds in their order, positions ascending, names only where they are announced.
    fn check(&mut self, line: &ArchiveLine<'_>) -> Result<(), ArchiveError> {
        let rank = rank(line);
        if rank < self.rank {
            return Err(self.lines.fault("this kind of line belongs further up"));
        }
        self.rank = rank;
        match line {
            ArchiveLine::Header(_) => Err(self.lines.fault("a second header")),
            ArchiveLine::Person(_) | ArchiveLine::Name(_) if !self.has_persons => {
                Err(self.lines.fault("a person, though the header says that there are none"))
            }
            ArchiveLine::Name(_) | ArchiveLine::Book(_) if self.manifest.books.is_none() => {
                Err(self.lines.fault("version 1 of the format has no such kind of line"))
            }
            ArchiveLine::Event(event) if event.position() <= self.manifest.last_position => {
                let (position, last) = (event.position(), self.manifest.last_position);
                Err(self.lines.fault(&format!("position {position} comes after {last}")))
            }
            _ => Ok(()),
        }
    }

    /// Compares the file's manifest, byte for byte, with what was read; nothing may follow it.
    fn end(mut self) -> Result<Manifest, ArchiveError> {
        self.manifest.chain = self.lines.chain.hex();
        let mut expected = Vec::new();
        ArchiveLine::Manifest(self.manifest.clone()).write(&mut expected)?;
        expected.pop();
        if self.lines.line != expected {
            return Err(self.differs());
        }
        if self.lines.next()? {
            return Err(self.lines.fault("something follows the manifest"));
        }
        Ok(self.manifest)
    }

    fn differs(&self) -> ArchiveError {
        let Ok(ArchiveLine::Manifest(stored)) = serde_json::from_slice(&self.lines.line) else {
            return self.lines.fault("the manifest can't be read");
        };
        let counts = |manifest: &Manifest| Manifest { chain: String::new(), ..manifest.clone() };
        if counts(&stored) != counts(&self.manifest) {
            return self.lines.fault("the manifest counts otherwise: lines are missing or added");
        }
        self.lines.fault("the hash chain differs: the file was changed after it was written")
    }
}

fn check_name(line: &ArchiveLine<'_>, accept: &CheckEntry) -> Result<(), EntryFault> {
    match line {
        ArchiveLine::Person(PersonLine { id, name: Some(name) }) => {
            accept(&WrittenEntry::Name { of: format_args!("person {id}"), name })
        }
        ArchiveLine::Name(NameLine { aggregate, number, name: Some(name), .. }) => {
            accept(&WrittenEntry::Name { of: format_args!("{aggregate}/{number}"), name })
        }
        _ => Ok(()),
    }
}

const fn rank(line: &ArchiveLine<'_>) -> u8 {
    match line {
        ArchiveLine::Header(_) => 0,
        ArchiveLine::Event(_) => 1,
        ArchiveLine::Receipt(_) => 2,
        ArchiveLine::Number(_) => 3,
        ArchiveLine::Deadline(_) => 4,
        ArchiveLine::Checkpoint(_) => 5,
        ArchiveLine::Parked(_) => 6,
        ArchiveLine::Waiting(_) => 7,
        ArchiveLine::Dropped(_) => 8,
        ArchiveLine::Book(_) => 9,
        ArchiveLine::Person(_) => 10,
        ArchiveLine::Name(_) => 11,
        ArchiveLine::Manifest(_) => 12,
    }
}

/// Where a line went.
enum Added {
    /// Into the batch, which now has so many rows.
    Here(usize),
    /// Into a new batch, of another kind.
    Elsewhere(ArchiveBatch),
}

impl ArchiveBatch {
    fn add(&mut self, line: ArchiveLine<'_>, accept: &CheckEntry) -> Result<Added, LineFault> {
        macro_rules! add {
            ($kind:ident, $row:expr) => {{
                let row = $row;
                if let Self::$kind(rows) = self {
                    rows.push(row);
                    Added::Here(rows.len())
                } else {
                    Added::Elsewhere(Self::$kind(vec![row]))
                }
            }};
        }
        Ok(match line {
            ArchiveLine::Event(event) => {
                let event = event.into_event()?;
                accept(&WrittenEntry::Event(&event))?;
                add!(Events, event)
            }
            ArchiveLine::Receipt(receipt) => add!(Receipts, receipt.into_receipt()?),
            ArchiveLine::Number(number) => add!(Numbers, number),
            ArchiveLine::Deadline(deadline) => add!(Deadlines, deadline),
            ArchiveLine::Checkpoint(checkpoint) => add!(Checkpoints, checkpoint),
            ArchiveLine::Parked(parked) => add!(Parked, parked),
            ArchiveLine::Waiting(waiting) => add!(Waiting, waiting),
            ArchiveLine::Dropped(dropped) => add!(Dropped, dropped),
            ArchiveLine::Book(entry) => add!(WriteOnceRecords, entry),
            ArchiveLine::Person(person) => add!(Persons, person),
            ArchiveLine::Name(name) => add!(Names, name.into_owned()),
            ArchiveLine::Header(_) | ArchiveLine::Manifest(_) => {
                return Err("it is out of place".to_owned().into());
            }
        })
    }

    /// An empty batch of the same kind.
    fn begin_alike(&self) -> Self {
        match self {
            Self::Events(_) | Self::End(_) => Self::Events(Vec::with_capacity(ROWS)),
            Self::Receipts(_) => Self::Receipts(Vec::with_capacity(ROWS)),
            Self::Numbers(_) => Self::Numbers(vec![]),
            Self::Deadlines(_) => Self::Deadlines(vec![]),
            Self::Checkpoints(_) => Self::Checkpoints(vec![]),
            Self::Parked(_) => Self::Parked(vec![]),
            Self::Waiting(_) => Self::Waiting(vec![]),
            Self::Dropped(_) => Self::Dropped(vec![]),
            Self::WriteOnceRecords(_) => Self::WriteOnceRecords(vec![]),
            Self::Persons(_) => Self::Persons(vec![]),
            Self::Names(_) => Self::Names(vec![]),
        }
    }
}
