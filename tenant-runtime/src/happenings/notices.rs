//! What the owner is to be told: a title, some text, and where in the app it leads.

use export_format::{AppId, prefixed_id};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::files::parsed;

/// How many are kept; the oldest go first.
const MOST: u32 = 200;
/// The most letters of a title, of a text, of a link.
const MOST_TITLE: usize = 200;
const MOST_TEXT: usize = 2_000;
const MOST_LINK: usize = 1_000;

prefixed_id! {
    /// Names a notice.
    pub struct NoticeId("ntc")
}

/// What is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// In one line.
    pub title: String,
    /// In a few more.
    pub text: String,
    /// A path on the app's own origin.
    pub link: Option<String>,
}

/// Something the owner was told and has not put away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// Whose word it is.
    pub app: AppId,
    /// What is said.
    pub words: Words,
    /// Since when, Unix milliseconds.
    pub at: i64,
}

impl Words {
    pub(super) fn check(&self) -> Result<(), Error> {
        let title = self.title.trim();
        if title.is_empty() || title.chars().count() > MOST_TITLE || title.chars().any(char::is_control) {
            return Err(Error::Wrong(format!("A notice has a title of one line and up to {MOST_TITLE} letters.")));
        }
        if self.text.chars().count() > MOST_TEXT {
            return Err(Error::TooLong(format!("The text of a notice may have up to {MOST_TEXT} letters.")));
        }
        let is_path = |link: &str| link.len() <= MOST_LINK && crate::pages::local_path(link).is_some();
        if self.link.as_deref().is_some_and(|link| !is_path(link)) {
            return Err(Error::Wrong(
                "The link of a notice is a path in the app, like /apps/com.example.tasks/index.".into(),
            ));
        }
        Ok(())
    }
}

/// Tells the owner something.
pub(crate) fn add(db: &Connection, app: &AppId, words: &Words, now: i64) -> Result<(), Error> {
    let id = NoticeId::new(now).to_string();
    db.prepare_cached("insert into notice (id, app, title, text, link, at) values (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute((id, app.as_str(), words.title.trim(), &words.text, &words.link, now))?;
    db.execute(
        "delete from notice where id not in (select id from notice order by at desc, id desc limit ?1)",
        [MOST],
    )?;
    Ok(())
}

/// All there are, the newest first.
pub(crate) fn all(db: &Connection) -> Result<Vec<Notice>, Error> {
    let mut query = db.prepare_cached("select id, app, title, text, link, at from notice order by at desc, id desc")?;
    let rows = query.query_map([], |row| {
        let words = Words { title: row.get(2)?, text: row.get(3)?, link: row.get(4)? };
        Ok(Notice { id: row.get(0)?, app: parsed(row, 1)?, words, at: row.get(5)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many there are.
pub(crate) fn count(db: &Connection) -> Result<u64, Error> {
    Ok(db.query_row("select count(*) from notice", [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Writes a notice as it is.
pub(crate) fn put_as_it_is(db: &Connection, notice: &Notice) -> Result<(), Error> {
    let Notice { id, app, words, at } = notice;
    db.execute(
        "insert or replace into notice (id, app, title, text, link, at) values (?1, ?2, ?3, ?4, ?5, ?6)",
        (id, app.as_str(), &words.title, &words.text, &words.link, at),
    )?;
    Ok(())
}

/// Puts one away, or all of them.
pub(crate) fn dismiss(db: &Connection, id: Option<&str>) -> Result<(), Error> {
    match id {
        Some(id) => db.execute("delete from notice where id = ?1", [id])?,
        None => db.execute("delete from notice", [])?,
    };
    Ok(())
}
