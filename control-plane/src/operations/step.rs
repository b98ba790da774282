//! The closed lists of steps: what an operation does, in order.

use super::operation::{Kind, State};

/// The steps of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExportStep {
    /// A snapshot is taken and written out as segments.
    Freeze,
    /// The archive can be fetched.
    Ready,
    /// The archive is written into a place of its owner's.
    Send,
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
    /// Those of an export that is fetched, in order.
    pub const FETCHED: [Self; 2] = [Self::Freeze, Self::Ready];
    /// Those of an export that goes to a place, in order.
    pub const SENT: [Self; 2] = [Self::Freeze, Self::Send];

    /// The word kept in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Ready => "ready",
            Self::Send => "send",
        }
    }

    /// The words on a page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Freeze => "Take a snapshot of everything",
            Self::Ready => "Ready to download",
            Self::Send => "Write it into your storage",
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
            Self::Upload => "Bring the archive here",
            Self::Check => "Check every part of it",
            Self::AwaitConsent => "You read the report and decide",
            Self::Stage => "Build it beside your present server",
            Self::Verify => "Compare it with the archive",
            Self::Swap => "Change places",
        }
    }
}

/// A step of either kind, as a row keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Of an export.
    Export(ExportStep),
    /// Of an import.
    Import(ImportStep),
}

impl Step {
    /// The word kept in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Export(step) => step.word(),
            Self::Import(step) => step.word(),
        }
    }

    /// The step of this kind that is called so.
    pub fn read(kind: Kind, word: &str) -> Option<Self> {
        match kind {
            Kind::Export => {
                let all = ExportStep::FETCHED.into_iter().chain(ExportStep::SENT);
                all.into_iter().find(|step| step.word() == word).map(Self::Export)
            }
            Kind::Import => ImportStep::ALL.into_iter().find(|step| step.word() == word).map(Self::Import),
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

/// All steps of an operation that is in `state` at `here`; `sent` says of an export that it goes to a place.
pub(super) fn views(here: Step, sent: bool, state: State, progress: (u64, u64), error: Option<&str>) -> Vec<StepView> {
    let exports = if sent { ExportStep::SENT } else { ExportStep::FETCHED };
    let all: Vec<(Step, &'static str)> = match here {
        Step::Export(_) => exports.map(|step| (Step::Export(step), step.title())).to_vec(),
        Step::Import(_) => ImportStep::ALL.map(|step| (Step::Import(step), step.title())).to_vec(),
    };
    let at = all.iter().position(|(step, _)| *step == here).unwrap_or(0);
    let view = |(n, (step, title)): (usize, (Step, &'static str))| {
        let stands = match (n.cmp(&at), state) {
            (std::cmp::Ordering::Less, _) => StepState::Done,
            (std::cmp::Ordering::Greater, _) => StepState::Waiting,
            (_, State::Ready | State::Done | State::Undone) => StepState::Done,
            (_, State::Failed) => StepState::Failed,
            (_, State::Ended) => StepState::Waiting,
            (_, State::Running | State::Waiting) => StepState::Running,
        };
        StepView {
            name: step.word(),
            title,
            state: stands,
            progress: Some(progress).filter(|(_, total)| stands == StepState::Running && *total > 0),
            error: error.filter(|_| n == at).map(str::to_owned),
        }
    };
    all.into_iter().enumerate().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_behind_at_or_before_the_present_one() {
        let steps = views(Step::Import(ImportStep::Stage), false, State::Running, (3, 10), None);
        let words: Vec<_> = steps.iter().map(|step| step.state.word()).collect();
        assert_eq!(words, ["done", "done", "done", "running", "waiting", "waiting"]);
        assert_eq!(steps[3].progress, Some((3, 10)));
        let failed = views(Step::Export(ExportStep::Freeze), false, State::Failed, (0, 0), Some("why"));
        assert_eq!((failed[0].state, failed[0].error.as_deref()), (StepState::Failed, Some("why")));
        let sent = views(Step::Export(ExportStep::Send), true, State::Done, (0, 0), None);
        assert_eq!(sent.iter().map(|step| step.name).collect::<Vec<_>>(), ["freeze", "send"]);
    }

    #[test]
    fn every_word_is_read_back() {
        for step in ImportStep::ALL {
            assert_eq!(Step::read(Kind::Import, step.word()), Some(Step::Import(step)));
        }
        for step in ExportStep::FETCHED.into_iter().chain(ExportStep::SENT) {
            assert_eq!(Step::read(Kind::Export, step.word()), Some(Step::Export(step)));
        }
        assert_eq!(Step::read(Kind::Export, "swap"), None);
    }
}
