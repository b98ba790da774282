//! The first part of an app's host name: the last part of its id, made unique on this server.

use export_format::AppId;
use rusqlite::Connection;

use super::Error;

/// The label an app would like.
#[must_use]
pub fn wished(app: &AppId) -> String {
    app.as_str().rsplit('.').next().unwrap_or(app.as_str()).to_owned()
}

/// `wished`, or what it already has, or `wished` with the smallest number that makes it unique.
pub(super) fn unique(db: &Connection, app: &AppId, wished: &str) -> Result<String, Error> {
    let mut taken = db.prepare_cached("select 1 from app where label = ?1 and id <> ?2")?;
    let plain = wished.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let wished = if plain && !wished.is_empty() && wished.len() <= 40 { wished.to_owned() } else { self::wished(app) };
    let mut label = wished.clone();
    let mut number = 2;
    while taken.exists((&label, app.as_str()))? {
        label = format!("{wished}-{number}");
        number += 1;
    }
    Ok(label)
}
