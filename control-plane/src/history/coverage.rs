//! What becomes of every table of our database when a person leaves.
//!
//! The lists are closed: `tests/it/coverage.rs` walks the tables and columns there are, looks for what stands in them in a
//! real archive, and fails for what is neither there nor named here with a reason, which the archive then tells.

use tenant_runtime::admin::api::Omission;
use tenant_runtime::archive::payload::coverage::Fate;

const PASSWORD: Fate = Fate::Omitted("your password at this provider", "it opens this console and nothing else");
const SESSIONS: Fate = Fate::Omitted("sessions", "a sign-in belongs to one place; sign in again at the new one");
const ATTEMPTS: Fate =
    Fate::Omitted("counts of attempts to sign in", "they guard this provider's door and are forgotten after a while");
const LETTERS: Fate = Fate::Omitted(
    "letters this provider wrote you",
    "they were written for your mailbox; what they tell of stands in the bills and the log",
);
const COURSE: Fate = Fate::Omitted(
    "the steps of exports, copies and imports",
    "what was asked for and what came of it stands in the log",
);
const PLACES: Fate = Fate::Omitted(
    "storage of yours for copies, with its keys, passphrases and times",
    "the keys are sealed for this provider alone; add the storage anew where you go",
);
const CARE: Fate =
    Fate::Omitted("checks of stored data", "they are about the storage of this place; the new one makes its own");
const DRILLS: Fate = Fate::Omitted(
    "trials whether an archive of yours can be taken in",
    "they are about the archives made here; the new provider makes its own",
);
const PROOFS: Fate = Fate::Omitted("how domains of yours were proved here", "each is proved anew where you go");
const MOVES: Fate =
    Fate::Omitted("the steps of moves between providers", "what was allowed and what came of it stands in the log");
const NOTES: Fate = Fate::Omitted(
    "this provider's working notes",
    "marks against doing a thing twice, places on machines, how far meters were read: they mean nothing elsewhere",
);

/// What becomes of each table that has to do with one server or its owner.
pub const TABLES: &[(&str, Fate)] = &[
    ("account", Fate::Exported),
    ("subscription", Fate::Exported),
    ("invoice", Fate::Exported),
    ("server", Fate::Exported),
    ("usage_hour", Fate::Exported),
    ("usage_day", Fate::Exported),
    ("usage_stored", Fate::Exported),
    ("audit_event", Fate::Exported),
    ("usage_source", NOTES),
    ("sign_up", NOTES),
    ("session", SESSIONS),
    ("attempt", ATTEMPTS),
    ("letter", LETTERS),
    ("operation", COURSE),
    ("operation_turn", COURSE),
    ("operation_part", COURSE),
    ("place", PLACES),
    ("place_file", PLACES),
    ("care", CARE),
    ("drill", DRILLS),
    ("wake", NOTES),
    ("domain", Fate::Exported),
    ("move_out", MOVES),
    ("move_round", MOVES),
    ("move_in", MOVES),
    ("move_in_line", MOVES),
    ("deletion", MOVES),
];

/// Columns of those that are in the archive in another form, or not at all.
pub const COLUMNS: &[(&str, &str, Fate)] = &[
    ("account", "password_hash", PASSWORD),
    ("account", "operator", NOTES),
    ("subscription", "billed", NOTES),
    // The month by its number is its two ends.
    ("invoice", "period", Fate::Derived),
    ("server", "desired", NOTES),
    ("server", "desired_ms", NOTES),
    ("server", "generation", NOTES),
    ("server", "host_id", NOTES),
    ("server", "erased_ms", NOTES),
    // Hours and days by their numbers are dates; what is kept is summed up over time.
    ("usage_hour", "hour", Fate::Derived),
    ("usage_day", "day", Fate::Derived),
    ("usage_stored", "bytes", Fate::Derived),
    ("usage_stored", "since_s", Fate::Derived),
    ("domain", "id", NOTES),
    ("domain", "state", PROOFS),
    ("domain", "state_ms", PROOFS),
    ("domain", "challenge", PROOFS),
    ("domain", "did", PROOFS),
    ("domain", "former_did", PROOFS),
    ("domain", "came", PROOFS),
    ("domain", "wildcard", PROOFS),
    ("domain", "trouble", PROOFS),
    ("domain", "checked_ms", PROOFS),
    ("domain", "next_ms", PROOFS),
    ("domain", "failures", PROOFS),
    ("domain", "proved_ms", PROOFS),
    ("domain", "told_ms", PROOFS),
    ("domain", "created_ms", NOTES),
    ("audit_event", "from_server", NOTES),
    ("audit_event", "once_key", NOTES),
];

/// Tables that have to do with no server and no person.
pub const COMMON: &[&str] = &["business", "plan", "host", "_sqlx_migrations"];

/// What an archive says that this provider keeps.
pub(super) fn omissions() -> Vec<Omission> {
    let mut all: Vec<Omission> = Vec::new();
    let fates = TABLES.iter().map(|(_, fate)| fate).chain(COLUMNS.iter().map(|(.., fate)| fate));
    for fate in fates {
        if let Fate::Omitted(what, why) = fate
            && all.iter().all(|known| known.what != *what)
        {
            all.push(Omission { what: (*what).to_owned(), why: (*why).to_owned() });
        }
    }
    all
}
