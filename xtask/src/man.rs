//! The manual pages, generated from the definition of the command line.

use anyhow::Context as _;
use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The program and its version, as the last line of each page names them.
const SOURCE: &str = concat!("gdmarket ", env!("CARGO_PKG_VERSION"));

/// Writes a page for the program and for each subcommand, and removes pages of subcommands that are gone.
pub(crate) fn write_all() -> anyhow::Result<()> {
    let folder = folder();
    let pages = pages()?;
    fs::create_dir_all(&folder)?;
    for stored in fs::read_dir(&folder)? {
        let stored = stored?;
        if !pages.contains_key(&*stored.file_name().to_string_lossy()) {
            fs::remove_file(stored.path())?;
        }
    }
    for (file, page) in pages {
        let path = folder.join(file);
        fs::write(&path, page).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../gdmarket/man")
}

/// Each page by its file name.
fn pages() -> io::Result<BTreeMap<String, String>> {
    let mut program = gdmarket::cli::definition();
    program.build();
    let mut pages = BTreeMap::new();
    add(&program, &mut pages)?;
    Ok(pages)
}

/// Adds the pages of a command and of its subcommands.
fn add(command: &Command, pages: &mut BTreeMap<String, String>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    pages.insert(format!("{name}.1"), page(command)?);
    command.get_subcommands().try_for_each(|below| add(below, pages))
}

/// The page of a command; examples keep their lines.
fn page(command: &Command) -> io::Result<String> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut page = Vec::new();
    Man::new(command.clone().after_help(Resettable::Reset)).source(SOURCE).render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    if !examples.is_empty() {
        let examples = examples.strip_prefix("Examples:\n").unwrap_or(&examples);
        page.push_str(".SH EXAMPLES\n.nf\n");
        for line in examples.lines() {
            page.push_str(&verbatim(line));
            page.push('\n');
        }
        page.push_str(".fi\n");
    }
    Ok(page)
}

/// A line that roff prints as it is, without requests, escapes and hyphenation.
fn verbatim(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_pages_are_those_of_the_command_line() {
        let mut committed = BTreeMap::new();
        for stored in fs::read_dir(folder()).expect("the folder of the pages") {
            let stored = stored.expect("an entry");
            let page = fs::read_to_string(stored.path()).expect("a page");
            committed.insert(stored.file_name().to_string_lossy().into_owned(), page);
        }
        let pages = pages().expect("the pages");
        let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&committed), names(&pages), "run: cargo xtask man");
        for (file, page) in pages {
            assert!(committed.get(&file) == Some(&page), "{file} is old; run: cargo xtask man");
        }
    }

    #[test]
    fn examples_are_printed_verbatim() {
        assert_eq!(verbatim("  jq '.a' --raw \\n"), "  jq '.a' \\-\\-raw \\en");
        assert_eq!(verbatim(".TH"), "\\&.TH");
    }
}
