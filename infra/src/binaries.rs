//! Where this build's other programs are.
//!
//! An installed provider has its programs side by side; a test runs from `target/<profile>/deps`, one folder below
//! them. `FREEHOLD_BIN_DIR` names the folder when neither holds.

use std::path::{Path, PathBuf};

/// The environment variable that names the folder of the programs.
pub const VARIABLE: &str = "FREEHOLD_BIN_DIR";

/// A program of this build is not where it was looked for.
#[derive(Debug, thiserror::Error)]
#[error("the program {name} is not in {}; set {VARIABLE} to its folder", list(.looked))]
pub struct Missing {
    name: String,
    looked: Vec<PathBuf>,
}

/// The path of a program of this build, for example `freehold-runtime`.
///
/// # Errors
/// [`Missing`] when it is in none of the places looked at.
pub fn find(name: &str) -> Result<PathBuf, Missing> {
    let looked = folders();
    let found = looked.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Missing { name: name.to_owned(), looked })
}

fn folders() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return vec![PathBuf::from(named)];
    }
    let here = std::env::current_exe().ok();
    let here = here.as_deref().and_then(Path::parent);
    let above = here.filter(|folder| folder.ends_with("deps")).and_then(Path::parent);
    here.into_iter().chain(above).map(Path::to_path_buf).collect()
}

fn list(folders: &[PathBuf]) -> String {
    let shown: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    if shown.is_empty() { "any known folder".to_owned() } else { shown.join(" or ") }
}
