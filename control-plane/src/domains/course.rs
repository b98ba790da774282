//! What becomes of a domain after a look: a pure function of how it stood and what was found.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::State;
use super::proof::Verdict;

/// A name that somebody waits for is looked at this often at first,
const FIRST: Duration = Duration::from_secs(30);
/// so many times,
const PATIENT: u32 = 20;
/// and then less and less, up to this; one that is proved is looked at this often.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// One whose proof was missed is looked at again after this.
const MISSED: Duration = Duration::from_secs(600);
/// So long it is waited for a proof.
const WAITED_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Whose proof is gone for so long is written to,
const TOLD_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// and so long after the letter the domain is turned off.
pub(super) const OFF_AFTER: SignedDuration = SignedDuration::from_hours(6 * 24);

/// How a domain stands, as far as that counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) since: Timestamp,
    pub(super) failures: u32,
    pub(super) told: Option<Timestamp>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) state: State,
    pub(super) failures: u32,
    /// When it is looked at again.
    pub(super) at: Option<Timestamp>,
    /// Whether its owner is written to now.
    pub(super) letter: bool,
}

/// What follows from a verdict.
pub(super) fn follow(standing: &Standing, verdict: &Verdict, now: Timestamp) -> Next {
    let failures = standing.failures.saturating_add(1);
    let next =
        |state, failures, wait: Duration| Next { state, failures, at: now.checked_add(wait).ok(), letter: false };
    let off = Next { state: State::GivenUp, failures: 0, at: None, letter: false };
    let gone = |from: Timestamp, span: SignedDuration| from.checked_add(span).is_ok_and(|then| then <= now);
    match (standing.state, verdict) {
        (State::Wanted | State::GivenUp | State::Removed, _) => Next { at: None, ..next(standing.state, 0, LONGEST) },
        (_, Verdict::Holds) => next(State::Proved, 0, LONGEST),
        (State::Proving, Verdict::Lacks(_)) if gone(standing.since, WAITED_FOR) => off,
        (State::Proving, _) => next(State::Proving, failures, longer(FIRST, failures.saturating_sub(PATIENT))),
        // That nobody answers says nothing against the proof.
        (state, Verdict::Unknown(_)) => next(state, failures, longer(MISSED, failures.saturating_sub(1))),
        (State::Proved, Verdict::Lacks(_)) => next(State::Failing, 1, MISSED),
        (State::Failing, Verdict::Lacks(_)) => match standing.told {
            Some(told) if gone(told, OFF_AFTER) => off,
            Some(_) => next(State::Failing, failures, longer(MISSED, failures)),
            None => {
                let letter = gone(standing.since, TOLD_AFTER);
                Next { letter, ..next(State::Failing, failures, longer(MISSED, failures)) }
            }
        },
    }
}

fn longer(first: Duration, doublings: u32) -> Duration {
    (first * 2u32.saturating_pow(doublings.min(12))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3600).unwrap()
    }

    fn lacks() -> Verdict {
        Verdict::Lacks("the record is not there".into())
    }

    fn standing(state: State) -> Standing {
        Standing { state, since: at(0), failures: 0, told: None }
    }

    /// Follows the same verdict until nothing is due any more, or so many hours have gone by.
    fn lived(mut now: Standing, verdict: &Verdict, hours: i64) -> (Standing, Vec<Timestamp>) {
        let (mut clock, mut letters) = (at(0), Vec::new());
        loop {
            let next = follow(&now, verdict, clock);
            if next.letter {
                letters.push(clock);
                now.told = Some(clock);
            }
            if next.state != now.state {
                now.since = clock;
            }
            (now.state, now.failures) = (next.state, next.failures);
            match next.at {
                Some(then) if then < at(hours) => clock = then,
                _ => return (now, letters),
            }
        }
    }

    #[test]
    fn a_proof_that_is_gone_is_told_in_a_letter_and_turned_off_six_days_later() {
        let (end, letters) = lived(standing(State::Proved), &lacks(), 24 * 6);
        assert_eq!((end.state, letters.len()), (State::Failing, 1));
        let (end, letters) = lived(standing(State::Proved), &lacks(), 24 * 30);
        assert_eq!((end.state, letters.len()), (State::GivenUp, 1));
        assert!(end.since >= letters[0] + OFF_AFTER);
    }

    #[test]
    fn a_resolver_that_does_not_answer_takes_nothing_from_anybody() {
        let silence = Verdict::Unknown("timed out".into());
        for state in [State::Proved, State::Failing, State::Proving] {
            let (end, letters) = lived(standing(state), &silence, 24 * 400);
            assert_eq!((end.state, letters.len()), (state, 0));
        }
    }

    #[test]
    fn who_never_proves_is_given_up_after_two_weeks_and_wishes_are_left_alone() {
        assert_eq!(lived(standing(State::Proving), &lacks(), 24 * 13).0.state, State::Proving);
        assert_eq!(lived(standing(State::Proving), &lacks(), 24 * 16).0.state, State::GivenUp);
        for verdict in [lacks(), Verdict::Holds] {
            assert_eq!(lived(standing(State::Wanted), &verdict, 24 * 400).0, standing(State::Wanted));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_turned_off_before_a_letter_however_the_clock_leaps(
            leaps in prop::collection::vec((0i64..5000, 0u8..3), 1..40),
        ) {
            let mut now = standing(State::Proved);
            let mut clock = 0;
            for (leap, what) in leaps {
                clock += leap;
                let verdict = [Verdict::Holds, lacks(), Verdict::Unknown("silence".into())][usize::from(what)].clone();
                let next = follow(&now, &verdict, at(clock));
                if next.state == State::GivenUp {
                    prop_assert!(now.told.is_some_and(|told| told + OFF_AFTER <= at(clock)));
                    return Ok(());
                }
                prop_assert!(next.at.is_some_and(|then| then > at(clock) && then <= at(clock) + LONGEST));
                if next.state != now.state {
                    now = Standing { since: at(clock), told: None, ..now };
                }
                if next.letter {
                    prop_assert!(now.told.is_none());
                    now.told = Some(at(clock));
                }
                (now.state, now.failures) = (next.state, next.failures);
            }
        }
    }
}
