//! An operation as the domain knows it, and the steps it shows.

use jiff::Timestamp;
use tenant_runtime::admin::api::{ExportView, ImportReport};
use tenant_runtime::ids::ServerId;

use super::ident::OperationId;
use super::step::{ExportStep, ImportStep, StepState, StepView};
use crate::places::PlaceId;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes an archive of a server.
    Export,
    /// Fills a server from an archive.
    Import,
}

impl Kind {
    /// The word kept in the database and used in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Import => "import",
        }
    }

    /// The kind that is called so.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Export, Self::Import].into_iter().find(|kind| kind.word() == word)
    }
}

/// Where an operation stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on by itself.
    Running,
    /// It waits for its owner: an upload to arrive, or consent to be given.
    Waiting,
    /// An export that can be fetched.
    Ready,
    /// It ended well.
    Done,
    /// It ended well and was taken back.
    Undone,
    /// It ended otherwise; `error` says why, and nothing was changed.
    Failed,
    /// Its owner stopped it, or nobody came for it in time.
    Ended,
}

impl State {
    /// The word kept in the database, and for style sheets.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }

    /// The state that is called so.
    pub fn read(word: &str) -> Option<Self> {
        let all = [Self::Running, Self::Waiting, Self::Ready, Self::Done, Self::Undone, Self::Failed, Self::Ended];
        all.into_iter().find(|state| state.word() == word)
    }

    /// True when nothing more will happen by itself or by waiting.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Failed | Self::Ended)
    }
}

/// One operation, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// Whose.
    pub server: ServerId,
    /// What it does.
    pub kind: Kind,
    /// Where it stands as a whole.
    pub state: State,
    /// Its steps, in order.
    pub steps: Vec<StepView>,
    /// Length of the archive: told by the uploader, or known since the freeze.
    pub bytes: Option<u64>,
    /// Bytes of an upload that are safely here.
    pub received: u64,
    /// A good name for the archive's file.
    pub file_name: String,
    /// An export as the runtime last told of it.
    pub export: Option<ExportView>,
    /// An import's report, once the archive is checked.
    pub report: Option<ImportReport>,
    /// Why it failed, for the owner to read.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_ms: i64,
    /// When it last got on.
    pub updated_ms: i64,
    /// When an archive that nobody fetches, or an upload that nobody goes on with, is thrown away.
    pub expires_ms: Option<i64>,
    /// Until when a finished import can be taken back.
    pub undo_until_ms: Option<i64>,
    /// The place of its owner's that it goes to or comes from.
    pub place: Option<PlaceId>,
    /// Whether it was begun by a schedule.
    pub scheduled: bool,
    /// Of a copy that is frozen: since when the passphrase that it is sealed with had been its place's; nothing for an open
    /// one. The place may have another one by now, or none.
    pub sealed_since: Option<Timestamp>,
}

impl Operation {
    /// Whether an import's archive is here, sealed, and waits for its passphrase.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let checking =
            self.steps.iter().any(|step| step.name == ImportStep::Check.word() && step.state == StepState::Running);
        self.kind == Kind::Import && self.state == State::Waiting && checking
    }

    /// Whether what it carries will not change any more, on its way to a place.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.steps.iter().any(|step| step.name == ExportStep::Freeze.word() && step.state == StepState::Done)
    }

    /// Done and total of the step that runs now, for a progress bar.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.steps.iter().rev().find_map(|step| step.progress)
    }
}
