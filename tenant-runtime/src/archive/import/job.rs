//! How far an import has come, written down at every turn.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::DAY_MS;
use super::intake::Unusable;
use super::upload;
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
}

/// What a check came to.
pub(super) enum Outcome {
    /// The archive is whole.
    Reported(Box<ImportReport>, Unusable),
    /// It is not; these are the findings.
    Refused(Vec<String>),
    /// It is sealed; its owner has to open it first.
    Locked,
}

pub(super) fn read(folder: &Path) -> Result<Option<Job>, Error> {
    work::read_json(&folder.join(JOB))
}

pub(super) fn create(folder: &Path, id: &str, bytes: u64, now_ms: i64) -> Result<(), Error> {
    work::make(folder)?;
    Job { bytes, ..Job::fresh(id, ImportState::Uploading, now_ms) }.write(folder)
}

impl Job {
    fn fresh(id: &str, state: ImportState, created_ms: i64) -> Self {
        let (report, error, undo_until_ms) = (None, None, None);
        let (id, unusable) = (id.to_owned(), Unusable::default());
        Self { id, bytes: 0, created_ms, state, report, unusable, error, undo_until_ms, undoing: false }
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
        upload::discard(folder)?;
        self.set(folder, ImportState::Failed)
    }

    pub(super) fn finish(&mut self, folder: &Path, arrived_ms: i64, undo_days: u32) -> Result<(), Error> {
        self.undo_until_ms = Some(arrived_ms + i64::from(undo_days) * DAY_MS);
        self.set(folder, ImportState::Done)?;
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
        }
    }

    fn write(&self, folder: &Path) -> Result<(), Error> {
        work::write_json(&folder.join(JOB), self)
    }
}
