//! What the activity log and the letters tell of a move to here.

use super::step::State;
use super::store::Kept;
use super::words;
use crate::audit::{Note, Outcome, What, Who};
use crate::mail::Letter;

/// That its owner asked for a move.
pub(super) fn begun(kept: &Kept) -> Note {
    let text = format!("You asked to bring the server at {} here from {}.", kept.address, kept.source.name);
    about(Note::new(Who::Owner, What::Import, text), kept)
}

/// What is told of a turn, if anything.
pub(super) fn turned(before: &Kept, after: &Kept) -> Option<Note> {
    let why = after.error.as_deref().unwrap_or("nobody knows why");
    let is_live = before.activated_ms.is_none() && after.activated_ms.is_some();
    let (who, text, outcome) = match (before.state, after.state) {
        _ if is_live => {
            let text = format!("The server from {} took the place of what was here.", after.address);
            (Who::Provider, text, Some(Outcome::Done))
        }
        (State::Asked, State::Running) => {
            let text = format!("You agreed at {} that your server moves here.", after.source.name);
            (Who::Owner, text, None)
        }
        (before, State::Failed) if before != State::Failed => {
            let text = format!("The move from {} was given up, and nothing was changed here: {why}", after.address);
            (Who::Provider, text, Some(Outcome::Failed))
        }
        (before, State::Cancelled) if before != State::Cancelled => {
            let who = if after.error.is_none() { Who::Owner } else { Who::Provider };
            let text = format!("The move from {} was stopped; nothing was changed here.", after.address);
            (who, text, None)
        }
        _ => return None,
    };
    let note = about(Note::new(who, What::Import, text), after);
    Some(match outcome {
        Some(outcome) => note.ended(outcome),
        None => note,
    })
}

/// The letter that a turn is worth, with the word that keeps it from being written twice.
pub(super) fn letter(before: &Kept, after: &Kept, server: &str, link: String) -> Option<(Letter, &'static str)> {
    if before.activated_ms.is_none()
        && let Some(activated) = after.activated_ms
    {
        let counts = after.report.as_ref().map(|report| report.counts).unwrap_or_default();
        let held = after.held_ms.map_or(0, |held| activated - held);
        let letter = Letter::Moved {
            server: server.to_owned(),
            from: after.address.clone(),
            documents: counts.documents,
            files: counts.files,
            paused: words::spell(held),
            link,
        };
        return Some((letter, "moved"));
    }
    // Whoever saw it fail before it began needs no letter.
    if before.state == State::Running && after.state == State::Failed {
        let why = after.error.clone().unwrap_or_default();
        let letter = Letter::MoveFailed { server: server.to_owned(), from: after.address.clone(), why, link };
        return Some((letter, "failed"));
    }
    None
}

fn about(note: Note, kept: &Kept) -> Note {
    note.about("move", kept.id.to_string()).about("from", kept.address.clone())
}
