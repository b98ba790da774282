//! What becomes of every table of the database and every object of a home when the person leaves.
//!
//! The lists are closed, and nobody's word is taken for them: `tests/it/archive/coverage.rs` walks the tables, columns and
//! objects of a filled server, looks for what stands in them in its archive, and fails for what is neither found there nor
//! named here with a reason, which the archive then tells.

use rusqlite::Connection;

use super::{Payload, render};
use crate::admin::api::Omission;
use crate::archive::error::Error;

/// What the archive does with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the archive.
    Exported,
    /// It is worked out from what is in the archive.
    Derived,
    /// It stays behind: what to call it, and why.
    Omitted(&'static str, &'static str),
}

const SIGNED_IN: Fate = Fate::Omitted("sessions", "a sign-in belongs to one place; sign in again at the new one");
const TICKETS: Fate = Fate::Omitted("one-time codes", "they open one door once, and that door stays here");
const SECRETS: Fate =
    Fate::Omitted("the server's working keys", "they only ever sign in to this server; the new one makes its own");
const FORMER: Fate =
    Fate::Omitted("earlier states kept for undo", "they are copies of what was replaced, and expire here");
const UPLOADS: Fate = Fate::Omitted("unfinished uploads", "half a file is no file; it counts once it is whole");
const ORIGIN: Fate =
    Fate::Omitted("the note of the last import", "it serves to take that import back, which is done here");
const SPELT: Fate = Fate::Omitted(
    "how documents that came were spelt before they were changed here",
    "it serves to give back unchanged ones byte for byte; the documents as they are now are in the archive",
);
const EVENTS: Fate = Fate::Omitted(
    "the server's own note of what happened lately",
    "its provider's activity log tells of it, and what the provider handed over of that is in the archive",
);
const PROOFS: Fate = Fate::Omitted(
    "the keys by which senders of webhooks prove who they are",
    "they never leave in the clear; the app says them again",
);
const TOLD: Fate = Fate::Omitted(
    "what code of apps said and how it fared here",
    "it is about runs on this machine; code that was stopped here is tried anew at the next",
);
const CARE: Fate =
    Fate::Omitted("checks of stored data", "they are about the storage of this place; the new one makes its own");
const NOTES: Fate = Fate::Omitted(
    "the server's working notes",
    "numbers and marks by which it finds its own things; the new one makes its own",
);

/// What becomes of each table; `document_<n>` stands for all tables of records, and what begins so for their indexes.
pub const TABLES: &[(&str, Fate)] = &[
    ("setting", Fate::Exported),
    ("app", Fate::Exported),
    ("app_release", Fate::Exported),
    ("code", Fate::Exported),
    ("collection", Fate::Exported),
    ("document_<n>", Fate::Exported),
    ("document_index", Fate::Derived),
    ("document_index_making", Fate::Derived),
    ("document_<n>_index_<id>", Fate::Derived),
    ("file", Fate::Exported),
    ("permission", Fate::Exported),
    ("schedule", Fate::Exported),
    ("webhook", Fate::Exported),
    ("happening", Fate::Exported),
    ("notice", Fate::Exported),
    ("share", Fate::Derived),
    ("blob", Fate::Derived),
    ("blob_total", Fate::Derived),
    ("sqlite_sequence", Fate::Derived),
    ("carried", Fate::Exported),
    ("archive_words", Fate::Exported),
    ("noting", NOTES),
    ("noted", NOTES),
    ("archive_echo", SPELT),
    ("archive_echo_entry", SPELT),
    ("archive_origin", ORIGIN),
    ("event", EVENTS),
    ("handler_stop", TOLD),
    ("upload", UPLOADS),
    ("secret", SECRETS),
    ("session", SIGNED_IN),
    ("app_password", TICKETS),
    ("burnt_ticket", TICKETS),
    ("validation_token", TICKETS),
    ("visitor", SIGNED_IN),
];

/// Columns of exported tables that are not in the archive as they stand, but can be worked out again or mean nothing
/// elsewhere.
pub const COLUMNS: &[(&str, &str, Fate)] = &[
    ("app", "release", NOTES),
    ("app_release", "release", NOTES),
    ("app_release", "added", NOTES),
    ("code", "release", NOTES),
    ("code", "crc32", Fate::Derived),
    ("code", "mime", Fate::Derived),
    ("collection", "n", NOTES),
    ("document_<n>", "n", NOTES),
    ("file", "crc32", Fate::Derived),
    ("carried", "crc32", Fate::Derived),
    // Spelled as a row has it, and the same in meaning.
    ("schedule", "action", Fate::Derived),
    ("webhook", "action", Fate::Derived),
    ("happening", "action", Fate::Derived),
    ("happening", "payload", Fate::Derived),
    // Whether it was on is said; when it is due next follows from its rule, and only once the owner has said so.
    ("schedule", "state", Fate::Derived),
    ("webhook", "state", Fate::Derived),
    ("schedule", "due", Fate::Derived),
    ("happening", "next", Fate::Derived),
    ("webhook", "key", PROOFS),
    ("archive_words", "kind", NOTES),
    ("archive_words", "path", NOTES),
];

/// What becomes of each kind of object in a home's bucket, by the first folder of its name. Names that begin with a dot
/// are the bucket's own and no objects.
pub const OBJECTS: &[(&str, Fate)] = &[
    // These are the database, whose tables stand above.
    ("head", Fate::Derived),
    ("seg", Fate::Derived),
    ("pack", Fate::Derived),
    ("map", Fate::Derived),
    ("hot", Fate::Derived),
    ("blob", Fate::Exported),
    ("snap", FORMER),
    ("hist", FORMER),
    ("gone", FORMER),
    ("unused", NOTES),
    ("care", CARE),
    ("upload", UPLOADS),
    ("pending", UPLOADS),
    ("stage", Fate::Omitted("an import that is being built", "it is not yet part of the server")),
];

/// What a table is called in the lists.
#[must_use]
pub fn listed(name: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match name.strip_prefix("document_").map(|rest| rest.split_once("_index_").unwrap_or((rest, ""))) {
        Some((n, "")) if is_number(n) => "document_<n>",
        // The tables of a full-text index have words behind the number.
        Some((n, index)) if is_number(n) && is_number(index.split('_').next().unwrap_or_default()) => {
            "document_<n>_index_<id>"
        }
        _ => name,
    }
}

/// The fate of a table, if it has one.
#[must_use]
pub fn of_table(name: &str) -> Option<Fate> {
    let name = listed(name);
    TABLES.iter().find(|(table, _)| *table == name).map(|(_, fate)| *fate)
}

/// What the archive must say that it leaves out.
pub(super) fn omissions(db: &Connection, payload: &Payload) -> Result<Vec<Omission>, Error> {
    let mut all: Vec<Omission> = Vec::new();
    let mut say = |what: &str, why: &str| {
        if payload.omitted.iter().chain(&all).all(|known| known.what != what) {
            all.push(Omission { what: what.to_owned(), why: why.to_owned() });
        }
    };
    let columns = COLUMNS.iter().map(|(.., fate)| fate);
    for fate in TABLES.iter().chain(OBJECTS).map(|(_, fate)| fate).chain(columns) {
        if let Fate::Omitted(what, why) = fate {
            say(what, why);
        }
    }
    if payload.sealed_own.is_none() {
        say("the identity's secret key", "no passphrase was given to seal it with; it never leaves in the clear");
    }
    let older = render::number(
        db,
        "select count(*) from app_release r where not exists
             (select 1 from app a where a.id = r.app and a.release = r.release)",
    )?;
    if older.unwrap_or(0) > 0 {
        say("earlier releases of apps", "they are kept for undo only; the releases in use are in the archive");
    }
    Ok(all)
}
