//! Moving between providers: what a server keeps of it beside its content, and how it stands down.
//!
//! A server's *epoch* is the number of its life: 1 until it first moves, and one more with each hand-over. It is this
//! server's own, like its keys, and stands among them: no archive brings it or takes it away, and no exchange of content
//! resets it (`archive::keepsakes`).

mod departure;
mod guests;

use export_format::Digest;
use export_format::moving::Signed;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

use crate::archive::Error;

pub use departure::{Departure, Refusal, depart, recall, take_back};

/// The name of the epoch among the home's secrets.
const EPOCH: &str = "move.epoch";

/// The name of the last arrival among the home's secrets.
const ARRIVAL: &str = "move.arrival";

/// The name of the last hand-over that was given up, among the home's secrets.
const RENOUNCED: &str = "move.renounced";

/// How this server came to go on in place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrival {
    /// The import that brought the content.
    pub(crate) import: String,
    /// The word of the server that stood down.
    pub(crate) handover: Signed,
    /// This server's word that it goes on.
    pub(crate) acceptance: Signed,
}

/// That this server never goes on by a hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Renounced {
    /// The digest of the hand-over's text.
    pub(crate) handover: Digest,
    /// This server's word on it.
    pub(crate) renunciation: Signed,
}

/// How this server last came to go on in place of another, if it did.
pub(crate) fn arrival(db: &Connection) -> Result<Option<Arrival>, Error> {
    noted(db, ARRIVAL)
}

/// Notes it, for later proof.
pub(crate) fn set_arrival(db: &Connection, arrival: &Arrival) -> Result<(), Error> {
    note(db, ARRIVAL, arrival)
}

/// The hand-over that was last given up here, if one was.
pub(crate) fn renounced(db: &Connection) -> Result<Option<Renounced>, Error> {
    noted(db, RENOUNCED)
}

/// Notes it, so that whoever asks again gets the same document.
pub(crate) fn set_renounced(db: &Connection, renounced: &Renounced) -> Result<(), Error> {
    note(db, RENOUNCED, renounced)
}

fn noted<T: serde::de::DeserializeOwned>(db: &Connection, name: &str) -> Result<Option<T>, Error> {
    let text: Option<Vec<u8>> =
        db.query_row("select value from secret where name = ?1", [name], |row| row.get(0)).optional()?;
    let read = |text: Vec<u8>| serde_json::from_slice(&text).map_err(|why| Error::Bug(format!("{name}: {why}")));
    text.map(read).transpose()
}

fn note(db: &Connection, name: &str, what: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(what).map_err(|why| Error::Bug(why.to_string()))?;
    db.execute("insert or replace into secret (name, value) values (?1, ?2)", (name, text))?;
    Ok(())
}

/// The number of this server's life.
pub fn epoch(db: &Connection) -> rusqlite::Result<u64> {
    let mut query = db.prepare_cached("select cast(cast(value as text) as integer) from secret where name = ?1")?;
    let noted: Option<i64> = query.query_row([EPOCH], |row| row.get(0)).optional()?;
    Ok(noted.map_or(1, |noted| noted.unsigned_abs().max(1)))
}

/// Notes it. It never goes back: of the one that is noted and this one the higher stands.
pub fn set_epoch(db: &Connection, to: u64) -> rusqlite::Result<()> {
    let to = to.max(epoch(db)?);
    let text = "insert or replace into secret (name, value) values (?1, ?2)";
    db.execute(text, (EPOCH, to.to_string().as_bytes())).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::archive::keepsakes::Keepsakes;
    use crate::schema::in_memory;

    #[test]
    fn an_epoch_only_goes_up_and_is_kept_when_the_content_is_exchanged() {
        let db = in_memory();
        assert_eq!(epoch(&db).unwrap(), 1);
        set_epoch(&db, 12).unwrap();
        set_epoch(&db, 3).unwrap();
        assert_eq!(epoch(&db).unwrap(), 12);

        let other = in_memory();
        set_epoch(&other, 40).unwrap();
        Keepsakes::take(&db).unwrap().put(&other).unwrap();
        assert_eq!(epoch(&other).unwrap(), 12, "the epoch is the server's, and not its content's");
    }
}
