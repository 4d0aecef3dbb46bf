//! Damage to the pages of a database's file, as a failing disk does it, and its repair.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Bytes of one of SQLite's pages.
pub const SQLITE_PAGE: usize = 4096;
/// Bytes of one of PostgreSQL's pages.
pub const POSTGRES_PAGE: usize = 8192;

/// Overwritten pages with their original content. No process may have the file open while they are overwritten
/// or restored.
#[derive(Debug)]
pub struct DamagedPages {
    file: PathBuf,
    pages: Vec<(u64, Vec<u8>)>,
}

impl DamagedPages {
    /// Overwrites every page of the file that contains this text, with bytes other than zeros, because a page
    /// of zeros is a valid empty page to PostgreSQL.
    ///
    /// # Panics
    /// When no page holds the text.
    pub fn with_text(file: &Path, page_size: usize, text: &str) -> Self {
        let content = fs::read(file).expect("the file");
        let holds = |page: &[u8]| page.windows(text.len()).any(|part| part == text.as_bytes());
        let pages: Vec<(u64, Vec<u8>)> = (0_u64..)
            .step_by(page_size)
            .zip(content.chunks(page_size))
            .filter(|(_, page)| holds(page))
            .map(|(place, page)| (place, page.to_vec()))
            .collect();
        assert!(!pages.is_empty(), "no page of {} holds {text}", file.display());
        let damaged = Self { file: file.to_owned(), pages };
        damaged.write(|page| vec![0xa5; page.len()]);
        // PostgreSQL's map of free space may lead a program that adds a row to a damaged page; without the map
        // rows are added at the table's end.
        let _not_there = fs::remove_file(format!("{}_fsm", file.display()));
        damaged
    }

    /// Restores the pages.
    pub fn repair(&self) {
        self.write(<[u8]>::to_vec);
    }

    fn write(&self, content: impl Fn(&[u8]) -> Vec<u8>) {
        let file = File::options().write(true).open(&self.file).expect("the file");
        for (place, page) in &self.pages {
            file.write_all_at(&content(page), *place).expect("writing a page");
        }
        file.sync_all().expect("syncing the file");
    }
}
