//! The closed lists of steps: what an operation does, in order.

/// The steps of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExportStep {
    /// A snapshot is taken and written out as segments.
    Freeze,
    /// The archive can be fetched.
    Ready,
}

/// The steps of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImportStep {
    /// The archive arrives.
    Upload,
    /// Every byte of it is checked.
    Check,
    /// The owner reads the report and says yes.
    AwaitConsent,
    /// The content is built beside the live server.
    Stage,
    /// What was built is compared with the archive.
    Verify,
    /// The two change places.
    Swap,
}

impl ExportStep {
    /// All of them, in order.
    pub const ALL: [Self; 2] = [Self::Freeze, Self::Ready];

    /// The word kept in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Ready => "ready",
        }
    }

    /// The words on a page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Freeze => "Take a snapshot of everything",
            Self::Ready => "Ready to download",
        }
    }
}

impl ImportStep {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Upload, Self::Check, Self::AwaitConsent, Self::Stage, Self::Verify, Self::Swap];

    /// The word kept in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Check => "check",
            Self::AwaitConsent => "await-consent",
            Self::Stage => "stage",
            Self::Verify => "verify",
            Self::Swap => "swap",
        }
    }

    /// The words on a page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Upload => "Upload the archive",
            Self::Check => "Check every part of it",
            Self::AwaitConsent => "You read the report and decide",
            Self::Stage => "Build it beside your present server",
            Self::Verify => "Compare it with the archive",
            Self::Swap => "Change places",
        }
    }
}

/// Where one step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Not yet.
    Waiting,
    /// Now.
    Running,
    /// Behind us.
    Done,
    /// It ended here.
    Failed,
}

impl StepState {
    /// The word for pages and style sheets.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One step as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// The word kept in the database.
    pub name: &'static str,
    /// The words on a page.
    pub title: &'static str,
    /// Where it stands.
    pub state: StepState,
    /// Done and total of its progress, while it has one.
    pub progress: Option<(u64, u64)>,
    /// Why it failed.
    pub error: Option<String>,
}
