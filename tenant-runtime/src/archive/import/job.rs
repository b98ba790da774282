//! How far an import has come, written down at every turn.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::intake::Unusable;
use super::{DAY_MS, Sorted};
use super::{rounds, upload};
use crate::admin::api::{ImportReport, ImportState, ImportView};
use crate::archive::error::Error;
use crate::archive::work;

const JOB: &str = "job.json";

/// One import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) bytes: u64,
    pub(super) created_ms: i64,
    pub(super) state: ImportState,
    pub(super) report: Option<ImportReport>,
    /// Tables that are carried, since their records could not be used here.
    #[serde(default)]
    pub(super) unusable: Unusable,
    pub(super) error: Option<String>,
    pub(super) undo_until_ms: Option<i64>,
    /// The owner wants the former content back.
    pub(super) undoing: bool,
    /// It follows the server it comes from.
    #[serde(default)]
    pub(super) follow: bool,
    /// What it stands on, once its archive is staged and verified.
    #[serde(default)]
    pub(super) standing: Option<Standing>,
}

/// What an import that follows stands on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The round that is staged and verified; 0 for the archive.
    pub(super) round: u32,
    /// SHA-256 of the payload manifest, as computed from what is staged.
    pub(super) payload: String,
    /// The `did` of the key that signed the archive, which signs all others.
    pub(super) signer: String,
    /// The archive of that round: its id, the address it was frozen at, and when.
    pub(super) archive: String,
    pub(super) domain: String,
    pub(super) at_ms: i64,
    /// The moment that stands in for dates the archives do not say: the first one's, so that a row that says none does not
    /// change with every round.
    pub(super) taken_ms: i64,
    /// The rounds whose deltas lead from the archive to that round, in their order.
    pub(super) chain: Vec<u32>,
    /// The last round that was announced.
    pub(super) announced: Option<Announced>,
}

/// A round that was announced.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Announced {
    pub(super) round: u32,
    pub(super) bytes: u64,
    /// It was not taken, and never will be.
    pub(super) refused: bool,
}

/// What a check came to.
pub(super) enum Outcome {
    /// The archive is whole.
    Reported(Box<ImportReport>, Unusable, Sorted),
    /// It is not; these are the findings.
    Refused(Vec<String>),
    /// It is sealed; its owner has to open it first.
    Locked,
}

pub(super) fn read(folder: &Path) -> Result<Option<Job>, Error> {
    work::read_json(&folder.join(JOB))
}

pub(super) fn create(folder: &Path, id: &str, bytes: u64, follow: bool, now_ms: i64) -> Result<(), Error> {
    work::make(folder)?;
    Job { bytes, follow, ..Job::fresh(id, ImportState::Uploading, now_ms) }.write(folder)
}

impl Job {
    fn fresh(id: &str, state: ImportState, created_ms: i64) -> Self {
        let (report, error, undo_until_ms) = (None, None, None);
        let (id, unusable) = (id.to_owned(), Unusable::default());
        let (undoing, follow, standing) = (false, false, None);
        Self { id, bytes: 0, created_ms, state, report, unusable, error, undo_until_ms, undoing, follow, standing }
    }

    /// An import that only the home remembers.
    pub(super) fn remembered(id: &str, arrived_ms: i64, undo_until_ms: i64) -> Self {
        Self { undo_until_ms: Some(undo_until_ms), ..Self::fresh(id, ImportState::Done, arrived_ms) }
    }

    /// The job behind a view, when its own file is lost.
    pub(super) fn lost(view: &ImportView) -> Result<Self, Error> {
        Ok(Self::remembered(&view.id, view.created_ms, view.undo_until_ms.unwrap_or_default()))
    }

    pub(super) fn set(&mut self, folder: &Path, state: ImportState) -> Result<(), Error> {
        self.state = state;
        work::make(folder)?;
        self.write(folder)
    }

    pub(super) fn fail(&mut self, folder: &Path, why: &str) -> Result<(), Error> {
        // A take-back that did not succeed leaves a finished import, which can be taken back again.
        if self.undoing {
            self.error = Some(why.to_owned());
            self.undoing = false;
            return self.write(folder);
        }
        self.error = Some(why.to_owned());
        // First, for on a full disk this makes the room for the note; without its archive the import cannot go on.
        rounds::discard(folder)?;
        upload::discard(folder)?;
        self.set(folder, ImportState::Failed)
    }

    pub(super) fn finish(&mut self, folder: &Path, arrived_ms: i64, undo_days: u32) -> Result<(), Error> {
        self.undo_until_ms = Some(arrived_ms + i64::from(undo_days) * DAY_MS);
        self.set(folder, ImportState::Done)?;
        rounds::discard(folder)?;
        upload::discard(folder)
    }

    pub(super) fn view(&self) -> ImportView {
        ImportView {
            id: self.id.clone(),
            state: self.state,
            bytes: self.bytes,
            received: self.bytes,
            done: 0,
            total: 0,
            report: self.report.clone(),
            error: self.error.clone(),
            created_ms: self.created_ms,
            undo_until_ms: self.undo_until_ms,
            round: self.standing.as_ref().map(|standing| standing.round),
            payload: self.standing.as_ref().map(|standing| standing.payload.clone()),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), Error> {
        work::write_json(&folder.join(JOB), self)
    }
}
