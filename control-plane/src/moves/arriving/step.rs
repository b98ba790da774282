//! The closed list of steps by which a server comes here, and how a move stands as a whole.

use crate::operations::StepState;

/// The steps of a move, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The owner agrees at the other provider.
    Consent,
    /// A moment of the server is brought here, whole.
    FirstRound,
    /// It is built beside the present server and compared.
    Staging,
    /// What changed meanwhile is brought, until that is little.
    CatchUp,
    /// Writes are held there, and the last of it is brought.
    Held,
    /// The other provider's server stands down.
    HandOver,
    /// The two change places here. From here on the only way is forward.
    Activate,
    /// The other provider is told.
    Settle,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Consent,
        Self::FirstRound,
        Self::Staging,
        Self::CatchUp,
        Self::Held,
        Self::HandOver,
        Self::Activate,
        Self::Settle,
    ];

    /// The word kept in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::FirstRound => "first-round",
            Self::Staging => "staging",
            Self::CatchUp => "catch-up",
            Self::Held => "held",
            Self::HandOver => "hand-over",
            Self::Activate => "activate",
            Self::Settle => "settle",
        }
    }

    /// The step that is called so.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.word() == word)
    }

    /// The words on a page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Consent => "Both providers agree",
            Self::FirstRound => "Copying while you use it",
            Self::Staging => "Building it here and comparing every part",
            Self::CatchUp => "Copying what changed meanwhile",
            Self::Held => "Short pause for the last changes",
            Self::HandOver => "The old place hands over",
            Self::Activate => "The new place takes over",
            Self::Settle => "Forwarding",
        }
    }

    /// What it means for whoever uses the server.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Consent => "You say yes at the old place, signed in there.",
            Self::FirstRound => {
                "Everything still happens at the old place. Changes you make now come in later, shorter rounds."
            }
            Self::Staging => "Beside the server that is here now, which stays as it is.",
            Self::CatchUp => "Round after round, until little is left.",
            Self::Held => "Saving waits for a moment, nothing fails.",
            Self::HandOver => {
                "It signs that it stands down, if both sides have the same digest. From then on it cannot accept anything."
            }
            Self::Activate => "What was built takes the place of what was here.",
            Self::Settle => "Old links lead here.",
        }
    }

    /// Whether its owner can still stop it.
    pub fn can_stop(self) -> bool {
        self < Self::Activate
    }
}

/// How a move stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for its owner's yes at the other provider.
    Asked,
    /// It goes on by itself.
    Running,
    /// The server is here.
    Done,
    /// It did not come to be; the server here is as it was.
    Failed,
    /// It was stopped, here or there; the server here is as it was.
    Cancelled,
}

impl State {
    const ALL: [Self; 5] = [Self::Asked, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    /// The word kept in the database, and for style sheets.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that is called so.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more will come of it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// One step as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// Which.
    pub step: Step,
    /// Where it stands.
    pub state: StepState,
    /// How long it took, or takes so far, in milliseconds.
    pub took_ms: Option<u64>,
}

/// All steps of a move that is in `state` at `here`; `begun` says when each step was last begun.
pub(super) fn views(here: Step, state: State, now_ms: i64, begun: impl Fn(Step) -> Option<i64>) -> Vec<StepView> {
    let stands = |step: Step| match (step.cmp(&here), state) {
        (_, State::Done) | (std::cmp::Ordering::Less, _) => StepState::Done,
        (std::cmp::Ordering::Greater, _) | (_, State::Cancelled) => StepState::Waiting,
        (_, State::Failed) => StepState::Failed,
        (_, State::Asked | State::Running) => StepState::Running,
    };
    let took = |step: Step| {
        let from = begun(step)?;
        let next =
            Step::ALL.into_iter().filter(|later| *later > step).filter_map(&begun).filter(|at| *at >= from).min();
        let until = match stands(step) {
            StepState::Done => next?,
            StepState::Running => now_ms,
            StepState::Waiting | StepState::Failed => return None,
        };
        Some((until - from).max(0).unsigned_abs())
    };
    Step::ALL.map(|step| StepView { step, state: stands(step), took_ms: took(step) }).to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        assert!(Step::ALL.iter().all(|step| Step::read(step.word()) == Some(*step)));
        assert!(State::ALL.iter().all(|state| State::read(state.word()) == Some(*state)));
        assert_eq!((Step::read("else"), State::read("else")), (None, None));
    }

    #[test]
    fn it_can_be_stopped_until_the_other_side_has_stood_down_in_writing() {
        let stoppable: Vec<_> = Step::ALL.into_iter().filter(|step| step.can_stop()).collect();
        assert_eq!(stoppable.last(), Some(&Step::HandOver));
    }

    #[test]
    fn steps_say_how_long_they_took() {
        let begun = |step| match step {
            Step::Consent => Some(0),
            Step::FirstRound => Some(100),
            Step::Staging => Some(1_100),
            _ => None,
        };
        let steps = views(Step::Staging, State::Running, 1_500, begun);
        let took: Vec<_> = steps.iter().map(|view| view.took_ms).collect();
        assert_eq!(took[..4], [Some(100), Some(1_000), Some(400), None]);
        assert_eq!(steps[2].state, StepState::Running);
        assert!(views(Step::Settle, State::Done, 0, |_| None).iter().all(|view| view.state == StepState::Done));
    }
}
