//! What the activity log tells of drills: the first that passed, and whenever it turned out otherwise than the one before.
//!
//! A drill that fails is tried again each day. The log tells once of each reason, not of each day.

use super::{Drills, Failed, Fault, Passed};
use crate::audit::{Note, Outcome, What, Who};

/// What is told of a drill that passed after those that are known.
pub(super) fn passed(before: &Drills, passed: &Passed) -> Option<Note> {
    let text = match (&before.passed, &before.failed) {
        (None, _) => {
            "Your export was tested for the first time: a second server took the archive in, and what it gave out was the same."
        }
        (Some(_), Some(_)) => "Your export was tested again, and all was well this time.",
        (Some(_), None) => return None,
    };
    let note = Note::new(Who::Provider, What::Drill, text).ended(Outcome::Done);
    Some(note.about("documents", passed.documents).about("files", passed.files).about("bytes", passed.bytes))
}

/// What is told of one that did not.
pub(super) fn failed(before: &Drills, failed: &Failed) -> Option<Note> {
    if before.failed.as_ref().is_some_and(|last| (last.fault, &last.why) == (failed.fault, &failed.why)) {
        return None;
    }
    let text = match failed.fault {
        Fault::Archive => format!("Your export was tested and did not pass: {}", failed.why),
        Fault::Provider => {
            format!("Your export could not be tested, which says nothing about your archive: {}", failed.why)
        }
    };
    Some(Note::new(Who::Provider, What::Drill, text).ended(Outcome::Failed).about("fault", failed.fault.word()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use jiff::Timestamp;
    use std::time::Duration;

    #[test]
    fn what_is_as_it_was_is_not_told_again() {
        let at = Timestamp::UNIX_EPOCH;
        let well = Passed { at, documents: 7, files: 1, bytes: 9, took: Duration::from_secs(1) };
        let ill = |fault, why: &str| Failed { at, fault, why: why.into() };
        let known = |passed: Option<Passed>, failed: Option<Failed>| Drills { passed, failed, ..Drills::default() };
        let broken = ill(Fault::Archive, "It breaks off.");

        let first = passed(&known(None, None), &well).unwrap();
        assert!(first.text().contains("first time"));
        assert!(passed(&known(Some(well), None), &well).is_none());
        assert!(passed(&known(Some(well), Some(broken.clone())), &well).unwrap().text().contains("again"));
        assert!(failed(&known(Some(well), None), &broken).unwrap().text().ends_with("It breaks off."));
        assert!(failed(&known(None, Some(broken.clone())), &broken).is_none());
        for other in [ill(Fault::Provider, "It breaks off."), ill(Fault::Archive, "It is not the same.")] {
            assert!(failed(&known(None, Some(broken.clone())), &other).is_some());
        }
    }
}
