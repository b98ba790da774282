//! One entry of `_accessibles`: `{grantee, requestor_app, permission_name, granted, since, code?}`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use export_format::AppId;
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::{ACCESSIBLES, Grantee, PUBLICID, PUBLISHED, store};
use crate::documents::{self, Error, Row, TableName};
use crate::settings;

/// By whose word something is shared.
#[derive(Clone, Debug)]
pub(crate) struct Giver {
    /// The app that shares.
    pub(crate) app: AppId,
    /// The name of its permission to do so.
    pub(crate) permission: String,
}

/// What somebody who is let in has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// The code of a private link or feed.
    pub(crate) code: Option<String>,
}

impl Giver {
    fn is_of(&self, entry: &Value, grantee: &str) -> bool {
        entry["grantee"] == grantee
            && entry["requestor_app"] == self.app.as_str()
            && entry["permission_name"] == self.permission.as_str()
    }
}

/// Lets a grantee see a record; one that could already keeps its code. A public record gets `publicid`, or the name it has.
pub(crate) fn share(
    db: &Connection,
    (table, id): (&TableName, &str),
    giver: &Giver,
    grantee: &Grantee,
    publicid: Option<&str>,
    now: i64,
) -> Result<(Row, Given), Error> {
    let mut given = Given::default();
    let name = grantee.to_string();
    let feed = match grantee {
        Grantee::PrivateFeed(feed) => Some(feed_code(db, feed)?),
        _ => None,
    };
    let row = documents::change_by_server(db, table, id, now, |fields| {
        let mut entries = entries(fields);
        let mut entry = match entries.iter().position(|entry| giver.is_of(entry, &name)) {
            Some(at) => entries.remove(at),
            None => {
                json!({"grantee": name, "requestor_app": giver.app, "permission_name": giver.permission, "since": now})
            }
        };
        entry["granted"] = true.into();
        match grantee {
            Grantee::PrivateLink => {
                let code = entry["code"].as_str().map_or_else(fresh_code, str::to_owned);
                entry["code"] = code.as_str().into();
                given.code = Some(code);
            }
            Grantee::PrivateFeed(_) => given.code = feed,
            Grantee::Public => publish(fields, publicid, now),
            Grantee::Group(_) | Grantee::Person(_) => {}
        }
        entries.push(entry);
        fields.insert(ACCESSIBLES.into(), entries.into());
    })?;
    Ok((row, given))
}

/// Takes that back. The code of a private link, and that of a feed with nothing left in it, are never good again.
pub(crate) fn withdraw(
    db: &Connection,
    (table, id): (&TableName, &str),
    giver: &Giver,
    grantee: &Grantee,
    now: i64,
) -> Result<Row, Error> {
    let name = grantee.to_string();
    let row = documents::change_by_server(db, table, id, now, |fields| {
        let mut entries = entries(fields);
        entries.retain(|entry| !giver.is_of(entry, &name));
        if !entries.iter().any(|entry| entry["grantee"] == "_public" && entry["granted"] == true) {
            fields.remove(PUBLICID);
            fields.remove(PUBLISHED);
        }
        match entries.is_empty() {
            true => fields.remove(ACCESSIBLES),
            false => fields.insert(ACCESSIBLES.into(), entries.into()),
        };
    })?;
    if let Grantee::PrivateFeed(feed) = grantee
        && !store::is_used(db, &name)?
    {
        settings::remove(db, &feed_setting(feed))?;
    }
    Ok(row)
}

fn publish(fields: &mut Map<String, Value>, publicid: Option<&str>, now: i64) {
    if let Some(publicid) = publicid {
        fields.insert(PUBLICID.into(), publicid.into());
    }
    fields.entry(PUBLISHED).or_insert_with(|| now.into());
}

fn entries(fields: &Map<String, Value>) -> Vec<Value> {
    fields.get(ACCESSIBLES).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// 192 bits that nobody guesses.
fn fresh_code() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())
}

/// The setting that holds the code of a private feed.
pub(super) fn feed_setting(feed: &str) -> String {
    format!("private_feed.{feed}")
}

fn feed_code(db: &Connection, feed: &str) -> Result<String, Error> {
    let name = feed_setting(feed);
    match settings::get(db, &name)? {
        Some(code) => Ok(code),
        None => {
            let code = fresh_code();
            settings::put(db, &name, &code)?;
            Ok(code)
        }
    }
}
