//! What the activity log tells of an operation's turns: that it was asked for, and what came of it.

use super::operation::{Kind, State};
use super::step::{ImportStep, Step};
use super::store::Kept;
use crate::audit::{Note, Outcome, What, Who};

/// That an operation was asked for.
pub(super) fn begun(kept: &Kept) -> Note {
    let (who, what, text) = match (kept.kind, kept.place, kept.scheduled) {
        (Kind::Export, None, _) if kept.sealed => {
            (Who::Owner, What::Export, "You asked for an archive of everything, sealed with a passphrase.")
        }
        (Kind::Export, None, _) => (Who::Owner, What::Export, "You asked for an archive of everything."),
        (Kind::Export, Some(_), false) => (Who::Owner, What::Export, "You asked for a copy to storage of yours."),
        (Kind::Export, Some(_), true) => {
            (Who::Provider, What::Export, "A copy to storage of yours was begun, as you had planned.")
        }
        (Kind::Import, None, _) => (Who::Owner, What::Import, "You began to bring an archive here."),
        (Kind::Import, Some(_), _) => {
            (Who::Owner, What::Import, "You chose an archive in storage of yours to bring here.")
        }
    };
    about(Note::new(who, what, text), kept)
}

/// What is told of a turn, if anything.
pub(super) fn turned(before: &Kept, after: &Kept, now_ms: i64) -> Option<Note> {
    let consent = (Step::Import(ImportStep::AwaitConsent), Step::Import(ImportStep::Stage));
    if before.state == after.state && (before.step, after.step) != consent {
        return None;
    }
    let why = after.error.as_deref().unwrap_or("nobody knows why");
    let in_time = before.expires_ms.is_none_or(|expires| now_ms <= expires);
    let (who, what, text, outcome) = match (after.kind, after.state) {
        (Kind::Export, State::Ready) => {
            (Who::Provider, What::Export, "The archive was ready to be fetched.".to_owned(), Some(Outcome::Done))
        }
        (Kind::Export, State::Done) => {
            (Who::Provider, What::Export, "The copy lay in storage of yours.".to_owned(), Some(Outcome::Done))
        }
        (Kind::Export, State::Failed) => {
            (Who::Provider, What::Export, format!("The archive could not be made: {why}"), Some(Outcome::Failed))
        }
        (Kind::Export, State::Ended) if before.state == State::Ready => return None,
        (Kind::Export, State::Ended) => (Who::Owner, What::Export, "You stopped an export.".to_owned(), None),
        (Kind::Import, State::Running) if (before.step, after.step) == consent => {
            (Who::Owner, What::Import, "You read the report and agreed to take the archive.".to_owned(), None)
        }
        (Kind::Import, State::Done) => {
            let text = "What the archive held took the place of what was on your server.".to_owned();
            (Who::Provider, What::Import, text, Some(Outcome::Done))
        }
        (Kind::Import, State::Failed) => {
            let text = format!("An archive was not taken, and nothing was changed: {why}");
            (Who::Provider, What::Import, text, Some(Outcome::Failed))
        }
        (Kind::Import, State::Undone) => {
            let text = "You took an import back; your server was as it had been before.".to_owned();
            (Who::Owner, What::Undo, text, Some(Outcome::Done))
        }
        (Kind::Import, State::Ended) if in_time => {
            (Who::Owner, What::Import, "You stopped an import; nothing was changed.".to_owned(), None)
        }
        (Kind::Import, State::Ended) => {
            let text = "An import was let go of, because nobody went on with it; nothing was changed.".to_owned();
            (Who::Provider, What::Import, text, None)
        }
        (_, State::Running | State::Waiting) | (Kind::Export, State::Undone) | (Kind::Import, State::Ready) => {
            return None;
        }
    };
    let note = about(Note::new(who, what, text), after);
    Some(match outcome {
        Some(outcome) => note.ended(outcome),
        None => note,
    })
}

/// That somebody began to fetch an archive; told once an hour, for a download that is cut comes in many pieces.
pub(super) fn fetched(kept: &Kept, now_ms: i64) -> Note {
    let key = format!("fetched {} {}", kept.id, now_ms.div_euclid(3_600_000));
    about(Note::new(Who::Owner, What::Export, "You downloaded an archive of everything."), kept).once(key)
}

fn about(note: Note, kept: &Kept) -> Note {
    let note = note.about("operation", kept.id.to_string());
    let note = match kept.place_file.as_deref().unwrap_or(&kept.file_name) {
        "" => note,
        name => note.about("archive", name),
    };
    match kept.place {
        Some(place) => note.about("place", place.to_string()),
        None => note,
    }
}
