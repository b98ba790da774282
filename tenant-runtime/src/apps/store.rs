//! Installed apps in SQLite: what they are, which release is in use, where its code lies.
//!
//! An update keeps the former release, and a removal keeps everything, so that both can be undone.

use export_format::{AppId, Digest};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::{Error, Keeping};
use crate::files::parsed;

/// One app, in the release that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRecord {
    /// The app's name among all apps.
    pub id: AppId,
    /// The first part of its host name, unique on this server.
    pub label: String,
    /// Its name for people.
    pub name: String,
    /// The version its maker gave this release.
    pub version: String,
    /// The manifest as it came, JSON text.
    pub manifest: String,
    /// Which of its releases is in use; later ones have higher numbers.
    pub release: u32,
    /// When it was first installed, Unix milliseconds.
    pub installed: i64,
    /// When this release came, Unix milliseconds.
    pub updated: i64,
    /// When it was removed, if it is.
    pub removed: Option<i64>,
    /// How it is kept up to date.
    pub keeping: Keeping,
}

impl AppRecord {
    /// What its owner should know of its updates, if there is anything.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        let Keeping { revoked, failed, .. } = &self.keeping;
        if let Some(revoked) = revoked.as_ref().filter(|revoked| revoked.version == self.version) {
            return Some(format!(
                "Version {} was withdrawn and does not open any more: {} Its data is kept.",
                self.version, revoked.why
            ));
        }
        let newer = |version: &str| super::version::compare(version, &self.version) == std::cmp::Ordering::Greater;
        let failed = failed.iter().rev().find(|failed| newer(&failed.version))?;
        Some(format!(
            "Version {} did not start ({}), so you have {}, with its data as it was before. It is not tried again; the next version is.",
            failed.version, failed.why, self.version
        ))
    }
}

/// One file of an app's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFile {
    /// Its path within the package.
    pub path: String,
    /// The blob with its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// CRC-32 of its bytes.
    pub crc32: u32,
    /// Its media type.
    pub mime: String,
}

const SELECT: &str = "select app.id, label, name, version, manifest, app.release, installed, added, removed, keeping
     from app join app_release on app_release.app = app.id and app_release.release = app.release";

fn record(row: &SqlRow<'_>) -> rusqlite::Result<AppRecord> {
    Ok(AppRecord {
        id: parsed(row, 0)?,
        label: row.get(1)?,
        name: row.get(2)?,
        version: row.get(3)?,
        manifest: row.get(4)?,
        release: row.get(5)?,
        installed: row.get(6)?,
        updated: row.get(7)?,
        removed: row.get(8)?,
        keeping: Keeping::read(row.get_ref(9)?.as_str()?),
    })
}

/// All apps, removed ones too, ordered by id.
pub fn list(db: &Connection) -> Result<Vec<AppRecord>, Error> {
    let text = format!("{SELECT} order by app.id");
    let found = db.prepare_cached(&text)?.query_map([], record)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// One app, removed or not.
pub fn get(db: &Connection, app: &AppId) -> Result<Option<AppRecord>, Error> {
    let text = format!("{SELECT} where app.id = ?1");
    Ok(db.prepare_cached(&text)?.query_row([app.as_str()], record).optional()?)
}

/// All files of the release in use, ordered by path.
pub fn code(db: &Connection, app: &AppId) -> Result<Vec<CodeFile>, Error> {
    let text = "select path, digest, size, crc32, mime from code join app on app.id = code.app
         where code.app = ?1 and code.release = app.release order by path";
    let found = db.prepare_cached(text)?.query_map([app.as_str()], code_file)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// One file of the release in use.
pub fn code_at(db: &Connection, app: &AppId, path: &str) -> Result<Option<CodeFile>, Error> {
    let text = "select path, digest, size, crc32, mime from code join app on app.id = code.app
         where code.app = ?1 and code.release = app.release and path = ?2";
    Ok(db.prepare_cached(text)?.query_row((app.as_str(), path), code_file).optional()?)
}

fn code_file(row: &SqlRow<'_>) -> rusqlite::Result<CodeFile> {
    Ok(CodeFile {
        path: row.get(0)?,
        digest: parsed(row, 1)?,
        size: row.get::<_, i64>(2)?.unsigned_abs(),
        crc32: row.get(3)?,
        mime: row.get(4)?,
    })
}

/// Writes an app as it is, label and dates included, with the code of its release: for imports and new installs.
/// Blobs must be durable already. A label that another app has is made unique.
pub fn put(db: &Connection, app: &AppRecord, code: &[CodeFile]) -> Result<AppRecord, Error> {
    let label = super::label::unique(db, &app.id, &app.label)?;
    db.execute(
        "insert into app (id, label, release, installed, removed, keeping) values (?1, ?2, ?3, ?4, ?5, ?6)
         on conflict (id) do update set label = excluded.label, release = excluded.release, removed = excluded.removed,
            keeping = excluded.keeping",
        params![app.id.as_str(), label, app.release, app.installed, app.removed, app.keeping.written()],
    )?;
    remove_release(db, &app.id, app.release)?;
    db.execute(
        "insert into app_release (app, release, name, version, manifest, added) values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![app.id.as_str(), app.release, app.name, app.version, app.manifest, app.updated],
    )?;
    let mut insert = db.prepare_cached(
        "insert into code (app, release, path, digest, size, crc32, mime) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for file in code {
        insert.execute(params![
            app.id.as_str(),
            app.release,
            file.path,
            file.digest.to_string(),
            file.size.cast_signed(),
            file.crc32,
            file.mime
        ])?;
    }
    Ok(AppRecord { label, ..app.clone() })
}

/// Writes how an app is kept up to date.
pub fn keep(db: &Connection, app: &AppId, keeping: &Keeping) -> Result<(), Error> {
    db.execute("update app set keeping = ?2 where id = ?1", params![app.as_str(), keeping.written()])?;
    Ok(())
}

/// Forgets an app with all its releases: for imports, where it may come otherwise. What it kept stays.
pub(crate) fn forget(db: &Connection, app: &AppId) -> Result<(), Error> {
    for text in
        ["delete from code where app = ?1", "delete from app_release where app = ?1", "delete from app where id = ?1"]
    {
        db.execute(text, [app.as_str()])?;
    }
    Ok(())
}

/// Gives these apps, in their order, the labels they wish for, as if each had come after those before it.
pub(crate) fn relabel(db: &Connection, wishes: &[(AppId, String)]) -> Result<(), Error> {
    // No label has a dot, so that none is taken by one that is still to come.
    db.execute("update app set label = id", [])?;
    for (app, wished) in wishes {
        let label = super::label::unique(db, app, wished)?;
        db.execute("update app set label = ?2 where id = ?1", (app.as_str(), label))?;
    }
    Ok(())
}

/// The numbers of all releases that are kept, oldest first.
pub fn releases(db: &Connection, app: &AppId) -> Result<Vec<u32>, Error> {
    let text = "select release from app_release where app = ?1 order by release";
    let found = db.prepare_cached(text)?.query_map([app.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// Forgets a release with its code.
pub fn remove_release(db: &Connection, app: &AppId, release: u32) -> Result<(), Error> {
    db.execute("delete from code where app = ?1 and release = ?2", params![app.as_str(), release])?;
    db.execute("delete from app_release where app = ?1 and release = ?2", params![app.as_str(), release])?;
    Ok(())
}

/// Puts another kept release in use.
pub fn use_release(db: &Connection, app: &AppId, release: u32) -> Result<(), Error> {
    db.execute("update app set release = ?2 where id = ?1", params![app.as_str(), release])?;
    Ok(())
}

/// Marks an app as removed at a moment, or as there.
pub fn set_removed(db: &Connection, app: &AppId, removed: Option<i64>) -> Result<(), Error> {
    db.execute("update app set removed = ?2 where id = ?1", params![app.as_str(), removed])?;
    Ok(())
}

/// The bytes of an app's kept code.
pub fn code_bytes(db: &Connection, app: &AppId) -> Result<u64, Error> {
    let text = "select coalesce(sum(size), 0) from code where app = ?1";
    Ok(db.query_row(text, [app.as_str()], |row| row.get::<_, i64>(0))?.unsigned_abs())
}
