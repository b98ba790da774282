//! What a run of a server took: the processor's time and the time it was there.
//!
//! A run is one process of one server, from its start to its end, and has a name that no other run ever has. The
//! launcher tells the agent of every run that ends. When there is no agent any more, it writes the runs it then ends
//! into a file of the run folder, where the next agent finds them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tenant_runtime::ids::ServerId;

use crate::agent::RunId;

/// The file of a run folder with the runs that ended unheard.
pub(crate) const RUNS_FILE: &str = "runs";

/// What one run took, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) server: ServerId,
    pub(crate) run: RunId,
    pub(crate) cpu_us: u64,
    pub(crate) awake_ms: u64,
}

/// Adds runs to a file.
pub(crate) fn note(file: &Path, spent: &[Spent]) -> io::Result<()> {
    if spent.is_empty() {
        return Ok(());
    }
    fs::OpenOptions::new().create(true).append(true).open(file)?.write_all(&lines(spent))
}

/// The runs in a file. A line that a crash cut off is left out.
pub(crate) fn noted(file: &Path) -> io::Result<Vec<Spent>> {
    match fs::read(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => Ok(other?.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()),
    }
}

/// Runs as a file holds them. The line begins anew each time, in case a crash cut the former one off.
pub(crate) fn lines<'a>(spent: impl IntoIterator<Item = &'a Spent>) -> Vec<u8> {
    let mut lines = Vec::new();
    for spent in spent {
        lines.push(b'\n');
        lines.extend(serde_json::to_vec(spent).expect("it is plain data"));
        lines.push(b'\n');
    }
    lines
}
