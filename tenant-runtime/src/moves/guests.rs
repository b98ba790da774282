//! Who was signed in to an app when the server departed, by the digest of the token that each of them shows.
//!
//! Tokens are made anew from a session whenever one is asked for and are the same each time (`sessions::token`), so their digests
//! can be told without any of them having been kept. Only tokens that open one app's data are told of: none of the owner's, and
//! never a token itself.

use export_format::Digest;
use export_format::moving::Guest;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::{apps, archive, sessions};

/// The most that are told of; of very many, those of the sessions used last.
const MOST: usize = 4000;

/// The guests as of a moment, Unix milliseconds.
pub(super) fn list(db: &Connection, at_ms: i64) -> Result<Vec<Guest>, archive::Error> {
    let installed = apps::list(db)?.into_iter().filter(|app| app.removed.is_none()).map(|app| app.id);
    let tokens = sessions::app_tokens(db, &installed.collect::<Vec<_>>(), at_ms)?;
    let guest = |(token, app, session): (String, _, sessions::Session)| {
        let expires = Timestamp::from_millisecond(session.expires).unwrap_or(Timestamp::MAX);
        Guest { token: Digest::of(token.as_bytes()), app, device: session.device, expires }
    };
    Ok(tokens.into_iter().map(guest).take(MOST).collect())
}
