//! What becomes of every table of the database and every object of a home when the person leaves.
//!
//! The list is closed: a table that stands in no line of it fails `tests/it/archive/coverage.rs`, so nothing new can be
//! forgotten by the archive without somebody saying so here.

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

/// What becomes of each table; `document_<n>` stands for all tables of records, and what begins so for their indexes.
pub const TABLES: &[(&str, Fate)] = &[
    ("setting", Fate::Exported),
    ("app", Fate::Exported),
    ("app_release", Fate::Exported),
    ("code", Fate::Exported),
    ("collection", Fate::Exported),
    ("document_<n>", Fate::Exported),
    ("document_index", Fate::Derived),
    ("document_<n>_index_<id>", Fate::Derived),
    ("file", Fate::Exported),
    ("permission", Fate::Exported),
    ("blob", Fate::Derived),
    ("blob_total", Fate::Derived),
    ("sqlite_sequence", Fate::Derived),
    ("carried", Fate::Exported),
    ("archive_words", Fate::Exported),
    ("archive_echo", Fate::Exported),
    ("archive_echo_entry", Fate::Exported),
    ("archive_origin", Fate::Derived),
    ("upload", UPLOADS),
    ("secret", SECRETS),
    ("session", SIGNED_IN),
    ("app_password", TICKETS),
    ("burnt_ticket", TICKETS),
];

/// What becomes of each kind of object in a home's bucket, by the first folder of its name. Names that begin with a dot
/// are the bucket's own and no objects.
pub const OBJECTS: &[(&str, Fate)] = &[
    ("head", Fate::Exported),
    ("seg", Fate::Exported),
    ("pack", Fate::Exported),
    ("map", Fate::Derived),
    ("hot", Fate::Derived),
    ("blob", Fate::Exported),
    ("snap", FORMER),
    ("hist", FORMER),
    ("gone", FORMER),
    ("unused", Fate::Derived),
    ("care", Fate::Derived),
    ("upload", UPLOADS),
    ("stage", Fate::Omitted("an import that is being built", "it is not yet part of the server")),
];

/// The fate of a table, if it has one.
#[must_use]
pub fn of_table(name: &str) -> Option<Fate> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let name = match name.strip_prefix("document_").map(|rest| rest.split_once("_index_").unwrap_or((rest, ""))) {
        Some((n, "")) if is_number(n) => "document_<n>",
        // The tables of a full-text index have words behind the number.
        Some((n, index)) if is_number(n) && is_number(index.split('_').next().unwrap_or_default()) => {
            "document_<n>_index_<id>"
        }
        _ => name,
    };
    TABLES.iter().find(|(table, _)| *table == name).map(|(_, fate)| *fate)
}

/// What the archive must say that it leaves out.
pub(super) fn omissions(db: &Connection, payload: &Payload) -> Result<Vec<Omission>, Error> {
    let mut all: Vec<Omission> = Vec::new();
    let mut say = |what: &str, why: &str| {
        if all.iter().all(|known| known.what != what) {
            all.push(Omission { what: what.to_owned(), why: why.to_owned() });
        }
    };
    for (_, fate) in TABLES.iter().chain(OBJECTS) {
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
