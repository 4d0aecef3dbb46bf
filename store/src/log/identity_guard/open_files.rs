//! SQLite's files while they are open: whether each path still leads to the file that was opened, and
//! whether the log's file still holds what it held.
//!
//! SQLite itself notices neither: it continues to write into a file that was renamed, removed or overwritten, and
//! later commits are lost. Comparing costs a system call per file; the content is read only after the file
//! was changed, which a checkpoint of the write-ahead log does too.
//!
//! The files are opened here through SQLite only: closing any other handle of a file would end the locks that SQLite
//! has on it. A file that is being checkpointed is compared again later.

use crate::db::sqlite::File;
use crate::db::wal_index::WalIndex;
use crate::error::StoreError;
use crate::log::identity::Identity;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// How often the content is read again where it is inconsistent: another process may be checkpointing.
const TRIES: u32 = 40;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(25);

/// The open files of a data folder.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    log: PathBuf,
    places: Vec<OpenedPath>,
    content: Mutex<SeenContent>,
}

/// A path, and the file that it led to when it was opened.
#[derive(Debug)]
struct OpenedPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// The log's file as it was when its content was last read.
#[derive(Debug, Default)]
struct SeenContent {
    stamp: Stamp,
    head: Option<Head>,
}

/// The metadata that change when a file is written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The content of the log's file without its write-ahead log. A checkpoint only ever adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    identity: Identity,
    position: i64,
    metadata: Option<String>,
}

/// The names of the files that SQLite keeps next to a database.
const NEXT_TO_IT: [&str; 3] = ["", "-wal", "-shm"];

impl OpenFiles {
    /// Remembers the files of a folder. Both databases must be open: their connections keep the files
    /// next to them from being removed by SQLite itself.
    pub(crate) async fn remember(folder: &Path) -> Result<Self, StoreError> {
        let log = File::Log.path(folder);
        let mut places = Vec::new();
        for file in [File::Log, File::Views] {
            for suffix in NEXT_TO_IT {
                let mut path = file.path(folder).into_os_string();
                path.push(suffix);
                places.extend(OpenedPath::of(PathBuf::from(path))?);
            }
        }
        places.extend(OpenedPath::of(folder.join("lock"))?);
        let content = SeenContent::read(&log).await.map_err(|error| error.in_file(&log))?;
        let content = Mutex::new(content.unwrap_or_default());
        Ok(Self { log, places, content })
    }

    /// Why a path doesn't lead to the open file any more, if that is so.
    pub(crate) fn moved(&self) -> Option<String> {
        self.places.iter().find_map(OpenedPath::moved)
    }

    /// Whether the log's file may have been written since its content was last read.
    pub(crate) fn is_written(&self) -> bool {
        // Another caller is reading it.
        let Ok(content) = self.content.try_lock() else { return true };
        fs::metadata(&self.log).is_ok_and(|now| Stamp::of(&now) != content.stamp)
    }

    /// The log's file.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Reads the log's file again: why it isn't what it was, if that is so.
    pub(crate) async fn overwritten(&self) -> Result<Option<String>, StoreError> {
        let mut known = self.content.lock().await;
        let mut tries = 1;
        loop {
            let found = match SeenContent::read(&self.log).await {
                Ok(None) => return Ok(known.shrunk(&self.log)),
                Ok(Some(now)) => match known.differs_from(&now, &self.log) {
                    None => {
                        *known = now;
                        return Ok(None);
                    }
                    Some(why) => Ok(Some(why)),
                },
                Err(error) => Err(error.in_file(&self.log)),
            };
            if tries == TRIES {
                return found;
            }
            tries += 1;
            sleep(PAUSE).await;
        }
    }
}

impl OpenedPath {
    /// `None` where there is no such file.
    fn of(path: PathBuf) -> Result<Option<Self>, StoreError> {
        match fs::metadata(&path) {
            Ok(found) => Ok(Some(Self { device: found.dev(), inode: found.ino(), path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::of_file(&path, &error)),
        }
    }

    fn moved(&self) -> Option<String> {
        let path = self.path.display();
        match fs::metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) == (self.device, self.inode) => None,
            Ok(_) => Some(format!("{path} was replaced by another file while it was open")),
            Err(error) if is_absence(&error) => {
                Some(format!("{path} was moved or removed while it was open"))
            }
            // A lack of memory or of file descriptors says nothing about the file.
            Err(_) => None,
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
    matches!(error.kind(), NotFound | NotADirectory | StaleNetworkFileHandle)
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl SeenContent {
    /// The stamp is taken first: a write while the content is read is compared the next time. `None` while the file
    /// alone is no consistent database, so that its content proves nothing.
    async fn read(log: &Path) -> Result<Option<Self>, StoreError> {
        let stamp = || match fs::metadata(log) {
            Ok(found) => Ok(Stamp::of(&found)),
            Err(error) => Err(StoreError::of_file(log, &error)),
        };
        let index = || WalIndex::of(log).map_err(|error| StoreError::of_file(log, &error));
        let (before, wal) = (stamp()?, index()?);
        if wal.is_some_and(|wal| !wal.is_consistent()) {
            return Ok(None);
        }
        let head = Head::read(log).await;
        if index()?.map(WalIndex::checkpoints) != wal.map(WalIndex::checkpoints)
            || stamp()? != before
        {
            return Ok(None);
        }
        Ok(Some(Self { stamp: before, head: head? }))
    }

    /// A file that is smaller than it was, though no checkpoint makes it smaller, is another one, also while its content
    /// proves nothing.
    fn shrunk(&self, log: &Path) -> Option<String> {
        let is_smaller = fs::metadata(log).is_ok_and(|now| now.len() < self.stamp.size);
        let path = log.display();
        is_smaller.then(|| format!("{path} was overwritten with an older copy while it was open"))
    }

    fn differs_from(&self, now: &Self, log: &Path) -> Option<String> {
        let before = self.head.as_ref()?;
        let path = log.display();
        let Some(head) = &now.head else {
            return Some(format!("{path} was overwritten while it was open: it holds no log"));
        };
        if head.identity.log_id != before.identity.log_id {
            return Some(format!("{path} was overwritten with another log while it was open"));
        }
        let went_back = head.position < before.position
            || head.identity.epoch < before.identity.epoch
            || (head.position == before.position && head.metadata != before.metadata);
        went_back.then(|| format!("{path} was overwritten with an older copy while it was open"))
    }
}

impl Head {
    /// The file alone, as if it were never written: neither locks nor the write-ahead log count.
    async fn read(log: &Path) -> Result<Option<Self>, StoreError> {
        let alone = SqliteConnectOptions::new().filename(log).read_only(true).immutable(true);
        let mut connection = alone.connect().await?;
        let head = Self::read_from(&mut connection).await;
        connection.close().await?;
        head
    }

    /// `None` where there is no log in the file yet.
    async fn read_from(file: &mut SqliteConnection) -> Result<Option<Self>, StoreError> {
        let has_log = "SELECT count(*) = 2 FROM sqlite_master WHERE name IN ('identity', 'events')";
        if !sqlx::query_scalar(has_log).fetch_one(&mut *file).await? {
            return Ok(None);
        }
        let identity = "SELECT log_id, epoch FROM identity WHERE id = 1";
        let identity = sqlx::query_as(identity).fetch_optional(&mut *file).await?;
        let Some((id, epoch)): Option<(Vec<u8>, i64)> = identity else { return Ok(None) };
        let last = "SELECT position, CAST(metadata AS TEXT) FROM events \
                    ORDER BY position DESC LIMIT 1";
        let last = sqlx::query_as(last).fetch_optional(file).await?;
        let (position, metadata) = last.unwrap_or_default();
        Ok(Some(Self { identity: Identity::of(&id, epoch)?, position, metadata }))
    }
}
