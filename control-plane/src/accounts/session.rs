//! Knowing somebody again: a random token in their cookie, of which we keep only a hash.

use jiff::{SignedDuration, Timestamp};

use crate::audit::{Note, What, Who};
use crate::db::{Db, Tx, on};
use crate::keys::{digest, random_text};
use crate::{AccountId, Actor, ControlPlane, Error, Result, row};

/// A session lasts this long after it was last used.
const LASTS: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Its use is written down at most this often.
const NOTED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// A session that was just opened.
#[derive(Clone)]
pub struct Session {
    /// What the cookie holds. It is shown once, here.
    pub token: String,
    /// Whose.
    pub account: AccountId,
    /// Until when it holds if it is not used again.
    pub expires: Timestamp,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("account", &self.account)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Opens a session as part of `tx`.
pub(crate) async fn open(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<Session> {
    let session = Session { token: random_text(), account, expires: now + LASTS };
    on!(tx.each(), e => sqlx::query(
        "insert into session (token_hash, account_id, created_ms, seen_ms, expires_ms) values ($1, $2, $3, $3, $4)"
    )
    .bind(digest(&session.token))
    .bind(account.to_string())
    .bind(now.as_millisecond())
    .bind(session.expires.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(session)
}

/// Who holds this token. Nobody we know, when there is none, or when it is unknown or too old.
pub async fn actor(plane: &ControlPlane, token: Option<&str>) -> Result<Actor> {
    let Some(token) = token else { return Ok(Actor::Visitor) };
    let (hash, now) = (digest(token), plane.now());
    let found: Option<(String, bool, i64)> = on!(plane.db().reader(), e => sqlx::query_as(
        "select account.id, account.operator, session.seen_ms from session join account on account.id = session.account_id \
         where session.token_hash = $1 and session.expires_ms > $2"
    )
    .bind(&hash)
    .bind(now.as_millisecond())
    .fetch_optional(e).await)?;
    let Some((id, operator, seen_ms)) = found else { return Ok(Actor::Visitor) };
    if seen_ms + i64::try_from(NOTED_EVERY.as_millis()).unwrap_or(i64::MAX) < now.as_millisecond() {
        note_use(plane.db(), &hash, now).await?;
    }
    let id = row::id(&id)?;
    Ok(if operator { Actor::Operator(id) } else { Actor::Account(id) })
}

async fn note_use(db: &Db, hash: &str, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update session set seen_ms = $2, expires_ms = $3 where token_hash = $1")
        .bind(hash)
        .bind(now.as_millisecond())
        .bind((now + LASTS).as_millisecond())
        .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Ends the session that holds this token. An unknown token ends nothing, and that is fine.
pub async fn sign_out(plane: &ControlPlane, token: &str) -> Result<()> {
    end(plane, &digest(token), "You signed out of the console.").await
}

/// Ends the session of this hash, and tells of it if there was one.
async fn end(plane: &ControlPlane, hash: &str, told: &str) -> Result<()> {
    let mut tx = plane.db().begin().await?;
    let whose: Option<String> = on!(tx.each(), e => sqlx::query_scalar(
        "delete from session where token_hash = $1 returning account_id"
    )
    .bind(hash)
    .fetch_optional(e).await)?;
    if let Some(account) = whose {
        Note::new(Who::Owner, What::SignOut, told).of_account(&mut tx, row::id(&account)?, plane.now()).await?;
    }
    Ok(tx.commit().await?)
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Names the session without opening it.
    pub id: String,
    /// When it was opened.
    pub created: Timestamp,
    /// When it was last used, to the hour.
    pub seen: Timestamp,
    /// Until when it holds if it is not used again.
    pub expires: Timestamp,
}

/// The name of the session that holds this token, as [`sessions`] lists it.
pub fn session_id(token: &str) -> String {
    name_of(&digest(token))
}

fn name_of(hash: &str) -> String {
    digest(hash)[..16].to_owned()
}

/// Where the asker is signed in, the latest first.
pub async fn sessions(plane: &ControlPlane, actor: &Actor) -> Result<Vec<SessionView>> {
    let found = hashes(plane, actor).await?.into_iter();
    let view = |(hash, created, seen, expires): (String, i64, i64, i64)| {
        let (created, seen, expires) = (row::time(created)?, row::time(seen)?, row::time(expires)?);
        Ok(SessionView { id: name_of(&hash), created, seen, expires })
    };
    found.map(view).collect()
}

/// Ends one of the asker's sessions. One that is not there is ended.
pub async fn end_session(plane: &ControlPlane, actor: &Actor, id: &str) -> Result<()> {
    for (hash, ..) in hashes(plane, actor).await? {
        if name_of(&hash) == id {
            end(plane, &hash, "You signed a device out of the console.").await?;
        }
    }
    Ok(())
}

/// Ends all of the asker's sessions but the one that holds `keep`.
pub async fn end_other_sessions(plane: &ControlPlane, actor: &Actor, keep: &str) -> Result<()> {
    let account = actor.account().ok_or_else(Error::sign_in)?;
    let mut tx = plane.db().begin().await?;
    if end_others(&mut tx, account, Some(keep)).await? > 0 {
        let told = Note::new(Who::Owner, What::SignOut, "You signed all other devices out of the console.");
        told.of_account(&mut tx, account, plane.now()).await?;
    }
    Ok(tx.commit().await?)
}

/// Ends every session of an account but the one that holds `keep`; how many those were.
pub(super) async fn end_others(tx: &mut Tx, account: AccountId, keep: Option<&str>) -> Result<u64> {
    Ok(on!(tx.each(), e => sqlx::query("delete from session where account_id = $1 and token_hash <> $2")
        .bind(account.to_string())
        .bind(keep.map(digest).unwrap_or_default())
        .execute(e).await.map(|done| done.rows_affected()))?)
}

async fn hashes(plane: &ControlPlane, actor: &Actor) -> Result<Vec<(String, i64, i64, i64)>> {
    let account = actor.account().ok_or_else(Error::sign_in)?;
    Ok(on!(plane.db().reader(), e => sqlx::query_as(
        "select token_hash, created_ms, seen_ms, expires_ms from session where account_id = $1 and expires_ms > $2 \
         order by seen_ms desc, created_ms desc, token_hash"
    )
    .bind(account.to_string())
    .bind(plane.now().as_millisecond())
    .fetch_all(e).await)?)
}

/// Forgets sessions that are too old.
pub(crate) async fn sweep(db: &Db, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query("delete from session where expires_ms <= $1")
        .bind(now.as_millisecond())
        .execute(e).await.map(|_| ()))?;
    Ok(())
}
