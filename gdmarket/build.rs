//! Lists the manual pages in `man/`, so that `gdmarket man` has them without their folder.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("man");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = vec![];
    // Without the folder `cargo xtask man` can still be built, which writes it.
    if folder.is_dir() {
        for entry in fs::read_dir(&folder)? {
            files.push(entry?.path());
        }
    }
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.file_name().unwrap_or_default().display();
        let path = file.display();
        writeln!(list, r##"    ("{name}", include_str!(r#"{path}"#)),"##)
            .map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("man_pages.rs"), list)
}
