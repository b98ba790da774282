//! People from other servers who see what is shared with them.

use export_format::{AppId, Digest};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::grantee::Person;
use crate::documents::Error;
use crate::files::parsed;

/// How long a proof of whose an app is may be used.
pub(crate) const PROOF_LIFETIME: i64 = 5 * 60 * 1000;
/// How long a visitor is let in.
pub(crate) const VISIT_LIFETIME: i64 = 24 * 60 * 60 * 1000;
/// How many of either there are at most; the oldest go first.
const MOST: i64 = 1_000;

/// What an app wants of another person's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The app, the same on both.
    pub(crate) app: AppId,
    /// The permission by which the other person shares.
    pub(crate) permission: String,
    /// The table.
    pub(crate) table: String,
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// Who it is.
    pub(crate) person: Person,
    /// To what.
    pub(crate) claim: Claim,
}

fn digest(token: &str) -> String {
    Digest::of(token.as_bytes()).to_string()
}

/// Notes that `token` proves our claim to `owner`'s server, once, until `expires`.
pub(crate) fn put_proof(
    db: &Connection,
    token: &str,
    claim: &Claim,
    owner: &Person,
    expires: i64,
    now: i64,
) -> Result<(), Error> {
    db.execute("delete from validation_token where expires <= ?1", [now])?;
    db.execute(
        "insert into validation_token (digest, app, table_id, permission, owner, expires) values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![digest(token), claim.app.as_str(), claim.table, claim.permission, owner.to_string(), expires],
    )?;
    trim(db, "validation_token")
}

/// Takes a proof away and says whether it was one, of just this claim to just this owner.
pub(crate) fn take_proof(db: &Connection, token: &str, claim: &Claim, owner: &Person, now: i64) -> Result<bool, Error> {
    let taken = db.execute(
        "delete from validation_token where digest = ?1 and app = ?2 and table_id = ?3 and permission = ?4 and owner = ?5 and expires > ?6",
        params![digest(token), claim.app.as_str(), claim.table, claim.permission, owner.to_string(), now],
    )?;
    Ok(taken == 1)
}

/// Lets somebody in who shows `token`.
pub(crate) fn let_in(db: &Connection, token: &str, visitor: &Visitor, expires: i64, now: i64) -> Result<(), Error> {
    db.execute("delete from visitor where expires <= ?1", [now])?;
    let Visitor { person, claim } = visitor;
    db.execute(
        "insert into visitor (digest, person, app, permission, table_id, expires) values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![digest(token), person.to_string(), claim.app.as_str(), claim.permission, claim.table, expires],
    )?;
    trim(db, "visitor")
}

/// Who shows a token.
pub(crate) fn visitor(db: &Connection, token: &str, now: i64) -> Result<Option<Visitor>, Error> {
    let text = "select person, app, permission, table_id from visitor where digest = ?1 and expires > ?2";
    let read = |row: &rusqlite::Row<'_>| {
        let claim = Claim { app: parsed(row, 1)?, permission: row.get(2)?, table: row.get(3)? };
        Ok(Visitor { person: parsed(row, 0)?, claim })
    };
    Ok(db.prepare_cached(text)?.query_row(params![digest(token), now], read).optional()?)
}

fn trim(db: &Connection, table: &str) -> Result<(), Error> {
    let text = format!(
        "delete from {table} where digest in (select digest from {table} order by expires desc limit -1 offset ?1)"
    );
    db.execute(&text, [MOST])?;
    Ok(())
}
