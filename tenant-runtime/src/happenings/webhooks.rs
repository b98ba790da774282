//! Incoming webhooks in SQLite: addresses that nobody can guess, by which others start something.
//!
//! The secret in an address is shown once and kept nowhere: only its digest is, which finds the webhook again and opens nothing.
//! So addresses travel in archives and go on working, and a reader of an archive has none of them. The key by which a sender
//! proves who it is stays in the home.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use export_format::{AppId, Digest, prefixed_id};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use sha2::Sha256;

use super::error::Error;
use super::queue::{self, Happening, HappeningId, State};
use super::schedules::{Source, Standing, check_names};
use super::{Action, Kind};
use crate::files::parsed;

/// How many an app may have, and all apps together.
const MOST_OF_APP: u32 = 20;
const MOST: u32 = 200;
/// How many deliveries of one may wait.
const MOST_WAITING: u32 = 1_000;

prefixed_id! {
    /// Names a webhook.
    pub struct WebhookId("whk")
}

/// An address by which others start something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) app: AppId,
    /// The app's own name for it.
    pub(crate) name: String,
    /// What it is called for people.
    pub(crate) title: String,
    /// SHA-256 of the secret in its address, in hexadecimal.
    pub(crate) digest: String,
    /// How senders prove who they are.
    pub(crate) proof: Option<Proof>,
    /// What is to be done, as JSON.
    pub(crate) action: String,
    pub(crate) source: Source,
    pub(crate) standing: Standing,
    pub(crate) made: i64,
    pub(crate) last: Option<i64>,
}

/// HMAC-SHA256 over the body, in hexadecimal, in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) header: String,
    /// Not there after an import, until the app says it again.
    pub(crate) key: Option<String>,
}

/// A webhook as an app wants it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) proof: Option<(String, String)>,
    pub(crate) action: Action,
}

/// A delivery as it came.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Its own name, if the sender gave it one.
    pub(crate) key: Option<String>,
    pub(crate) payload: Value,
}

/// A secret as it stands in an address.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl Secret {
    fn fresh() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>()))
    }

    pub(crate) fn digest(&self) -> String {
        Digest::of(self.0.as_bytes()).to_string()
    }
}

impl Proof {
    /// Whether a header's value proves that its sender knows the key.
    pub(crate) fn holds(&self, value: Option<&str>, body: &[u8]) -> bool {
        let (Some(key), Some(value)) = (&self.key, value) else { return false };
        let digits = value.trim();
        let digits = digits.strip_prefix("sha256=").unwrap_or(digits);
        let Ok(shown) = hex::decode(digits) else { return false };
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(body);
        mac.verify_slice(&shown).is_ok()
    }
}

const COLUMNS: &str = "id, app, name, title, digest, header, key, action, source, state, made, last from webhook";

fn webhook(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    let (header, key): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    Ok(Webhook {
        id: row.get(0)?,
        app: parsed(row, 1)?,
        name: row.get(2)?,
        title: row.get(3)?,
        digest: row.get(4)?,
        proof: header.map(|header| Proof { header, key }),
        action: row.get(7)?,
        source: parsed(row, 8)?,
        standing: parsed(row, 9)?,
        made: row.get(10)?,
        last: row.get(11)?,
    })
}

fn some(db: &Connection, rest: &str, values: impl rusqlite::Params) -> Result<Vec<Webhook>, Error> {
    let mut query = db.prepare_cached(&format!("select {COLUMNS} {rest}"))?;
    Ok(query.query_map(values, webhook)?.collect::<Result<_, _>>()?)
}

/// All, by app and name.
pub(crate) fn all(db: &Connection) -> Result<Vec<Webhook>, Error> {
    some(db, "order by app, name", [])
}

/// Those of one app, by name.
pub(crate) fn of_app(db: &Connection, app: &AppId) -> Result<Vec<Webhook>, Error> {
    some(db, "where app = ?1 order by name", [app.as_str()])
}

/// One by its app's own name for it.
pub(crate) fn get(db: &Connection, app: &AppId, name: &str) -> Result<Option<Webhook>, Error> {
    Ok(some(db, "where app = ?1 and name = ?2", (app.as_str(), name))?.pop())
}

/// The one whose address this secret stands in, while its app is installed.
pub(crate) fn at(db: &Connection, secret: &Secret) -> Result<Option<Webhook>, Error> {
    let installed = "exists (select 1 from app where app.id = webhook.app and removed is null)";
    Ok(some(db, &format!("where digest = ?1 and {installed}"), [secret.digest()])?.pop())
}

/// Makes a webhook, and says the secret of its address; one that is there keeps its address, and is told what to do anew.
///
/// # Errors
/// [`Error::Wrong`], [`Error::TooLong`], [`Error::TooMany`]; nothing is changed then.
pub(crate) fn put(db: &Connection, app: &AppId, draft: &Draft, now: i64) -> Result<(Webhook, Option<Secret>), Error> {
    check_names(&draft.name, &draft.title)?;
    draft.action.check()?;
    if let Some((header, key)) = &draft.proof {
        let is_name =
            header.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && (1..=64).contains(&header.len());
        if !is_name || !(16..=200).contains(&key.len()) {
            return Err(Error::Wrong("A proof has the name of a header, and a key of 16 to 200 letters.".into()));
        }
    }
    let before = get(db, app, &draft.name)?;
    let fresh = before.is_none().then(Secret::fresh);
    if before.is_none() {
        check_room(db, app)?;
    }
    let webhook = Webhook {
        id: before.as_ref().map_or_else(|| WebhookId::new(now).to_string(), |before| before.id.clone()),
        app: app.clone(),
        name: draft.name.clone(),
        title: draft.title.clone(),
        digest: match (&before, &fresh) {
            (Some(before), _) => before.digest.clone(),
            (None, fresh) => fresh.as_ref().map(Secret::digest).unwrap_or_default(),
        },
        proof: draft.proof.clone().map(|(header, key)| Proof { header: header.to_ascii_lowercase(), key: Some(key) }),
        action: draft.action.written(),
        source: Source::App,
        standing: before.as_ref().map_or(Standing::On, |before| before.standing),
        made: before.as_ref().map_or(now, |before| before.made),
        last: before.and_then(|before| before.last),
    };
    put_as_it_is(db, &webhook)?;
    Ok((webhook, fresh))
}

fn check_room(db: &Connection, app: &AppId) -> Result<(), Error> {
    let count = "select count(*), count(*) filter (where app = ?1) from webhook";
    let (all, of_app): (u32, u32) = db.query_row(count, [app.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match (of_app, all) {
        (MOST_OF_APP.., _) => Err(Error::TooMany(format!("An app may have {MOST_OF_APP} webhooks. Remove one first."))),
        (_, MOST..) => Err(Error::TooMany(format!("A server may have {MOST} webhooks. Remove one first."))),
        _ => Ok(()),
    }
}

/// Writes a webhook as it is, in place of any of this id or name.
pub(crate) fn put_as_it_is(db: &Connection, webhook: &Webhook) -> Result<(), Error> {
    let (header, key) = webhook.proof.clone().map_or((None, None), |proof| (Some(proof.header), proof.key));
    db.execute(
        "insert or replace into webhook (id, app, name, title, digest, header, key, action, source, state, made, last)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            webhook.id,
            webhook.app.as_str(),
            webhook.name,
            webhook.title,
            webhook.digest,
            header,
            key,
            webhook.action,
            webhook.source.word(),
            webhook.standing.word(),
            webhook.made,
            webhook.last,
        ],
    )?;
    Ok(())
}

/// Gives a webhook another address; the former one leads nowhere from then on.
///
/// # Errors
/// [`Error::Missing`].
pub(crate) fn rotate(db: &Connection, id: &str) -> Result<Secret, Error> {
    let fresh = Secret::fresh();
    match db.execute("update webhook set digest = ?2 where id = ?1", (id, fresh.digest()))? {
        0 => Err(Error::Missing("There is no such webhook.".into())),
        _ => Ok(fresh),
    }
}

/// Pauses a webhook, or lets it go on.
pub(crate) fn set_on(db: &Connection, id: &str, on: bool) -> Result<(), Error> {
    let standing = if on { Standing::On } else { Standing::Paused };
    db.execute("update webhook set state = ?2 where id = ?1", (id, standing.word()))?;
    Ok(())
}

/// Removes a webhook, with what of it still waits; true when there was one.
pub(crate) fn remove(db: &Connection, id: &str) -> Result<bool, Error> {
    queue::drop_waiting(db, id)?;
    Ok(db.execute("delete from webhook where id = ?1", [id])? > 0)
}

/// Writes a delivery down, unless one of this name came before; its happening's id.
///
/// # Errors
/// [`Error::TooMany`] while too many wait.
pub(crate) fn take(db: &Connection, webhook: &Webhook, delivery: &Delivery, now: i64) -> Result<String, Error> {
    if queue::waiting(db, &webhook.id)? >= MOST_WAITING {
        return Err(Error::TooMany("Too many of these wait to be looked at. Try again later.".into()));
    }
    let id = HappeningId::new(now).to_string();
    let happening = Happening {
        id: id.clone(),
        app: webhook.app.clone(),
        kind: Kind::Webhook,
        origin: webhook.id.clone(),
        name: webhook.name.clone(),
        title: webhook.title.clone(),
        key: delivery.key.clone().unwrap_or_else(|| id.clone()),
        due: now,
        action: webhook.action.clone(),
        payload: delivery.payload.to_string(),
        state: State::Waiting,
        tries: 0,
        next: Some(now),
        why: None,
        made: now,
        ended: None,
    };
    if queue::add(db, &happening, now)? {
        db.execute("update webhook set last = ?2 where id = ?1", (&webhook.id, now))?;
        queue::prune(db, now)?;
        return Ok(id);
    }
    let known = "select id from happening where origin = ?1 and key = ?2";
    Ok(db.query_row(known, (&webhook.id, &happening.key), |row| row.get(0))?)
}
