//! What the runs of this host's servers took, until whoever keeps the books has it.
//!
//! A run's figures only grow, and a run that has ended is told of again and again until it is acknowledged: also after
//! a restart, for it stands in a file as soon as the launcher has told of it. So nothing is lost in good order, and
//! nothing is counted twice by a reader that remembers the last figure of every run.
//!
//! When a provider is killed, its launcher still writes down what it ends. Only when the launcher is killed in the
//! same moment, or the machine stops, what its servers took since the last reading is lost.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::launcher::{RUNS_FILE, Spent, spent};

use super::api::{RunId, RunReading};

/// The runs that have ended and are not acknowledged.
#[derive(Debug)]
pub(super) struct Meter {
    file: PathBuf,
    ended: Mutex<HashMap<RunId, Spent>>,
}

impl Meter {
    /// Reads what is not acknowledged yet, from the agent's folder and from what a launcher left in the run folder.
    pub(super) fn open(data_dir: &Path, run_dir: &Path) -> io::Result<Self> {
        let (file, left) = (data_dir.join(RUNS_FILE), run_dir.join(RUNS_FILE));
        let mut found = spent::noted(&file)?;
        found.extend(spent::noted(&left)?);
        let ended = found.into_iter().map(|spent| (spent.run.clone(), spent)).collect();
        let meter = Self { file, ended: Mutex::new(ended) };
        meter.rewrite(&meter.ended.lock())?;
        match fs::remove_file(&left) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(meter),
        }
    }

    /// Takes note of a run that has ended.
    pub(super) fn note(&self, run: Spent) {
        if let Err(e) = spent::note(&self.file, std::slice::from_ref(&run)) {
            tracing::error!(server.id = %run.server, error = %e, "what a run took is kept in memory only");
        }
        self.ended.lock().insert(run.run.clone(), run);
    }

    /// The runs that have ended.
    pub(super) fn ended(&self) -> Vec<RunReading> {
        let reading = |spent: &Spent| RunReading {
            server: spent.server,
            run: spent.run.clone(),
            cpu_us: Some(spent.cpu_us),
            awake_ms: spent.awake_ms,
            ended: true,
        };
        self.ended.lock().values().map(reading).collect()
    }

    /// Forgets runs whose last figures are in the books.
    pub(super) fn acknowledge(&self, runs: &[RunId]) -> io::Result<()> {
        let mut ended = self.ended.lock();
        let before = ended.len();
        runs.iter().for_each(|run| drop(ended.remove(run)));
        if ended.len() == before {
            return Ok(());
        }
        self.rewrite(&ended)
    }

    fn rewrite(&self, ended: &HashMap<RunId, Spent>) -> io::Result<()> {
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, spent::lines(ended.values()))?;
        fs::rename(fresh, &self.file)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tenant_runtime::ids::ServerId;

    fn run(name: &str, cpu_us: u64) -> Spent {
        Spent { server: ServerId::new(1), run: RunId(name.into()), cpu_us, awake_ms: 1 }
    }

    #[test]
    fn a_run_is_told_of_until_it_is_acknowledged_across_restarts_and_torn_lines() {
        let (data, run_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = || Meter::open(data.path(), run_dir.path()).unwrap();
        let meter = open();
        meter.note(run("a", 5));
        meter.note(run("b", 7));
        meter.acknowledge(&[RunId("a".into())]).unwrap();
        // A launcher without an agent, killed while it wrote.
        spent::note(&run_dir.path().join(RUNS_FILE), &[run("c", 9)]).unwrap();
        let left = run_dir.path().join(RUNS_FILE);
        let mut bytes = fs::read(&left).unwrap();
        bytes.extend_from_slice(b"\n{\"server\":");
        fs::write(&left, bytes).unwrap();
        drop(meter);

        for _ in 0..2 {
            let mut told: Vec<_> = open().ended().into_iter().map(|run| (run.run.0, run.cpu_us)).collect();
            told.sort();
            assert_eq!(told, [("b".into(), Some(7)), ("c".into(), Some(9))]);
        }
        open().acknowledge(&[RunId("b".into()), RunId("c".into())]).unwrap();
        assert!(open().ended().is_empty() && !left.exists());
    }
}
