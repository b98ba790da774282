//! The processes of the awake servers, written down in one file of the run folder for the sweep after a kill -9.
//!
//! A line for each, all of one length, so that a wake is one write in place and a sleep is none: a line whose process has
//! ended is written over by the next wake, and until then names a process that no other will ever be.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::process::Process;

/// The file's name in a run folder.
pub(crate) const RUNNING_FILE: &str = "running";

/// Ten digits and twenty, a blank and the end of the line.
const LINE: u64 = 10 + 1 + 20 + 1;

/// Which line is a process's own.
#[derive(Debug)]
pub(super) struct Line(u32);

/// The file, and which of its lines are free.
#[derive(Debug)]
pub(super) struct Running {
    file: File,
    free: Vec<u32>,
    lines: u32,
}

impl Running {
    /// An empty file.
    pub(super) fn begin(run_dir: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(run_dir.join(RUNNING_FILE))?, free: Vec::new(), lines: 0 })
    }

    /// Writes a process down.
    pub(super) fn note(&mut self, process: Process) -> io::Result<Line> {
        let line = self.free.pop().unwrap_or(self.lines);
        self.lines = self.lines.max(line + 1);
        let text = format!("{:>10} {:>20}\n", process.pid, process.started);
        let written = self.file.write_all_at(text.as_bytes(), u64::from(line) * LINE);
        written.map(|()| Line(line)).inspect_err(|_| self.free.push(line))
    }

    /// The process of this line has ended.
    pub(super) fn is_over(&mut self, line: Line) {
        self.free.push(line.0);
    }
}

/// The processes that a run of this folder wrote down; many have ended.
pub(crate) fn noted(run_dir: &Path) -> Vec<Process> {
    let text = fs::read_to_string(run_dir.join(RUNNING_FILE)).unwrap_or_default();
    text.lines().filter_map(Process::from_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_written_down_in_as_many_lines_as_ever_ran_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut running = Running::begin(folder.path()).expect("a file");
        let process = |pid| Process { pid, started: 7 * pid.unsigned_abs() as u64 };
        let first = running.note(process(1)).expect("a line");
        running.note(process(i32::MAX)).expect("a line");
        assert_eq!(noted(folder.path()), [process(1), process(i32::MAX)]);
        running.is_over(first);
        running.note(process(3)).expect("a line");
        running.note(Process { pid: 4, started: u64::MAX }).expect("a line");
        assert_eq!(noted(folder.path()), [process(3), process(i32::MAX), Process { pid: 4, started: u64::MAX }]);
        assert_eq!(noted(&folder.path().join("none")), []);
    }
}
