//! What came with an import and is given back as it came.
//!
//! Three kinds, each in a table of its own:
//!
//! - **carried**: entries that no part of this server works with (a mailbox, a volume, a zone file). They are payload
//!   for good.
//! - **members and lines**: what another writer said in documents we do know, and we do not. They are merged into what
//!   we render, so they stay when the document is changed here. What was said of a file, a table or a permission is kept
//!   under its name, since the entry it stands in may get another.
//! - **echoes**: where our own rendering says the same as the archive in other bytes (indented otherwise, cut into
//!   other segments), the archive's bytes are kept beside the digest of our rendering. As long as nothing of that part
//!   has changed since, the archive's own bytes go out again; after the first change ours do.
//!
//! Together they make export(import(A)) give A's payload, whoever wrote A.
//!
//! Invariant: nothing that was carried keeps an export from being made, whatever it is called. Where this server has
//! something of that name by now, the carried entry moves to `data/carried/`, and the archive says so.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use export_format::EntryPath;
use export_format::digest::{Digest, Summary};
use export_format::path::{Namer, Taken, fold};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use super::{Entry, Payload, Source, apps, render};
use crate::admin::api::Omission;
use crate::archive::error::Error;

/// Where a carried entry goes whose name is taken.
const ASIDE: &str = "data/carried";

/// The tables, made in a staged home before anything is put into them.
const TABLES: &str = "
create table if not exists archive_words (
    path  text not null,
    kind  text not null check (kind in ('members', 'lines')),
    words text not null,
    primary key (path, kind)
) strict;
create table if not exists archive_echo (
    part     text primary key,
    rendered text not null
) strict;
create table if not exists archive_echo_entry (
    part   text not null references archive_echo (part) on delete cascade,
    path   text primary key,
    digest text,
    size   integer,
    crc32  integer
) strict;
create table if not exists archive_origin (
    one        integer primary key check (one = 1),
    import     text not null,
    archive    text not null,
    taken      integer not null,
    domain     text not null,
    arrived    integer not null
) strict;
create trigger if not exists archive_echo_uses_blob after insert on archive_echo_entry when new.digest is not null begin
    insert into blob values (new.digest, new.size, 1) on conflict (digest) do update set uses = uses + 1;
end;
create trigger if not exists archive_echo_frees_blob after delete on archive_echo_entry when old.digest is not null begin
    update blob set uses = uses - 1 where digest = old.digest;
end;
";

/// Makes the tables, unless they are there.
pub fn create(db: &Connection) -> Result<(), Error> {
    Ok(db.execute_batch(TABLES)?)
}

/// True when this home was ever filled by an import.
pub fn is_there(db: &Connection) -> Result<bool, Error> {
    let sql = "select 1 from sqlite_schema where type = 'table' and name = 'archive_origin'";
    Ok(db.query_row(sql, [], |_| Ok(())).optional()?.is_some())
}

/// Where this home's content came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The import that brought it.
    pub import: String,
    /// The archive's id.
    pub archive: String,
    /// When the archive's content was frozen.
    pub taken_ms: i64,
    /// The address it was frozen at.
    pub domain: String,
    /// When it arrived here.
    pub arrived_ms: i64,
}

/// Where this home's content came from, when it came from an archive.
pub fn origin(db: &Connection) -> Result<Option<Origin>, Error> {
    if !is_there(db)? {
        return Ok(None);
    }
    let sql = "select import, archive, taken, domain, arrived from archive_origin";
    let row = db.query_row(sql, [], |row| {
        Ok(Origin {
            import: row.get(0)?,
            archive: row.get(1)?,
            taken_ms: row.get(2)?,
            domain: row.get(3)?,
            arrived_ms: row.get(4)?,
        })
    });
    Ok(row.optional()?)
}

/// Notes where this home's content comes from.
pub fn set_origin(db: &Connection, origin: &Origin) -> Result<(), Error> {
    db.execute(
        "insert or replace into archive_origin values (1, ?1, ?2, ?3, ?4, ?5)",
        params![origin.import, origin.archive, origin.taken_ms, origin.domain, origin.arrived_ms],
    )?;
    Ok(())
}

/// Keeps an entry that nothing here works with.
pub fn carry(db: &Connection, path: &EntryPath, content: Summary) -> Result<(), Error> {
    db.execute(
        "insert into carried values (?1, ?2, ?3, ?4) on conflict (path) do nothing",
        params![path.as_str(), content.digest.to_string(), content.size.cast_signed(), content.crc32],
    )?;
    Ok(())
}

/// Keeps members of a document, or of something in one, that we do not know; an object as text.
pub fn keep_members(db: &Connection, of: &str, members: &str) -> Result<(), Error> {
    keep_words(db, of, "members", members)
}

/// Keeps lines of a document that we can make no sense of.
pub fn keep_lines(db: &Connection, of: &str, lines: &[String]) -> Result<(), Error> {
    keep_words(db, of, "lines", &Value::from(lines).to_string())
}

fn keep_words(db: &Connection, of: &str, kind: &str, words: &str) -> Result<(), Error> {
    db.execute("insert or replace into archive_words values (?1, ?2, ?3)", (of, kind, words))?;
    Ok(())
}

pub(super) fn members(db: &Connection, of: &str) -> Result<Map<String, Value>, Error> {
    Ok(members_text(db, of)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// The same as text, in which no number has lost a digit.
pub(super) fn members_text(db: &Connection, of: &str) -> Result<Option<String>, Error> {
    words(db, of, "members")
}

pub(super) fn lines(db: &Connection, of: &str) -> Result<Vec<String>, Error> {
    Ok(words(db, of, "lines")?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

fn words(db: &Connection, of: &str, kind: &str) -> Result<Option<String>, Error> {
    if !is_there(db)? {
        return Ok(None);
    }
    let sql = "select words from archive_words where path = ?1 and kind = ?2";
    Ok(db.prepare_cached(sql)?.query_row((of, kind), |row| row.get(0)).optional()?)
}

/// Members kept of what stands in `folder`, by its name there.
pub(super) fn members_in(db: &Connection, folder: &str) -> Result<BTreeMap<String, String>, Error> {
    if !is_there(db)? {
        return Ok(BTreeMap::new());
    }
    // "0" is what follows "/".
    let sql = "select substr(path, length(?1) + 2), words from archive_words
         where path > ?1 || '/' and path < ?1 || '0' and kind = 'members'";
    let mut query = db.prepare_cached(sql)?;
    Ok(query.query_map([folder], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Names that carried entries have in `folder`, for those that are to be found beside them.
pub(super) fn carried_in(db: &Connection, folder: &str) -> Result<Vec<String>, Error> {
    let sql =
        "select substr(path, length(?1) + 2) from carried where path > ?1 || '/' and path < ?1 || '0' order by path";
    let mut query = db.prepare_cached(sql)?;
    Ok(query.query_map([folder], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// One entry of an archive that our rendering does not give byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Where it stands, there or in our rendering.
    pub path: EntryPath,
    /// Its content in the archive; none when the archive has no such entry.
    pub content: Option<Summary>,
}

/// The part of the payload that an entry belongs to: what must be kept or rendered as a whole, since its documents
/// name each other.
#[must_use]
pub fn part(path: &EntryPath) -> &str {
    let whole = path.as_str();
    match whole.strip_prefix(apps::ROOT).and_then(|rest| rest.strip_prefix('/')).and_then(|rest| rest.find('/')) {
        Some(end) => &whole[..apps::ROOT.len() + 1 + end],
        None => whole,
    }
}

/// Keeps the archive's own entries of one part, for as long as our rendering of it stays `rendered`.
pub fn keep_echo(db: &Connection, part: &str, rendered: Digest, entries: &[Echo]) -> Result<(), Error> {
    db.execute("delete from archive_echo_entry where part = ?1", [part])?;
    db.execute("insert or replace into archive_echo values (?1, ?2)", (part, rendered.to_string()))?;
    let mut insert = db.prepare_cached("insert into archive_echo_entry values (?1, ?2, ?3, ?4, ?5)")?;
    for Echo { path, content } in entries {
        let digest = content.map(|content| content.digest.to_string());
        let size = content.map(|content| content.size.cast_signed());
        insert.execute(params![part, path.as_str(), digest, size, content.map(|content| content.crc32)])?;
    }
    Ok(())
}

/// The parts whose own bytes are kept, and the rendering for which each is.
pub(crate) fn echoes(db: &Connection) -> Result<BTreeMap<String, String>, Error> {
    let mut query = db.prepare("select part, rendered from archive_echo")?;
    Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Lets go of an archive's own bytes of a part.
pub(crate) fn drop_echo(db: &Connection, part: &str) -> Result<(), Error> {
    db.execute("delete from archive_echo_entry where part = ?1", [part])?;
    db.execute("delete from archive_echo where part = ?1", [part])?;
    Ok(())
}

/// Lets go of an entry that was carried.
pub(crate) fn uncarry(db: &Connection, path: &EntryPath) -> Result<(), Error> {
    db.execute("delete from carried where path = ?1", [path.as_str()])?;
    Ok(())
}

/// Lets go of what was said of something.
pub(crate) fn drop_words(db: &Connection, of: &str, kind: Words) -> Result<(), Error> {
    db.execute("delete from archive_words where path = ?1 and kind = ?2", (of, kind.as_str()))?;
    Ok(())
}

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Members of a document or of something in one.
    Members,
    /// Lines of a document.
    Lines,
}

impl Words {
    fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Lines => "lines",
        }
    }
}

/// One digest for our whole rendering of a part.
pub fn rendered(payload: &Payload, part_name: &str) -> Digest {
    let mut text = String::new();
    for (path, entry) in payload.entries.range::<str, _>((Bound::Included(part_name), Bound::Unbounded)) {
        if !path.as_str().starts_with(part_name) {
            break;
        }
        if part(path) == part_name {
            text.push_str(&format!("{}  {path}\n", entry.summary.digest));
        }
    }
    Digest::of(text.as_bytes())
}

/// Puts what was kept into the payload.
pub(super) fn apply(db: &Connection, payload: &mut Payload) -> Result<(), Error> {
    if is_there(db)? {
        apply_echoes(db, payload)?;
    }
    let mut query = db.prepare("select path, digest, size, crc32 from carried order by path")?;
    let mut rows = query.query([])?;
    let mut carried = Vec::new();
    while let Some(row) = rows.next()? {
        carried.push((render::path(&row.get::<_, String>(0)?)?, blob(row.get(1)?, row.get(2)?, row.get(3)?)?));
    }
    let mut taken = taken_near(payload, &carried);
    let mut aside = Namer::new(ASIDE).map_err(|why| Error::Bug(why.to_string()))?;
    for (path, entry) in carried {
        let place = if taken.take(&path).is_ok() {
            path
        } else if payload.entries.get(&path).is_some_and(|ours| ours.summary.digest == entry.summary.digest) {
            continue;
        } else {
            let place = free(&mut aside, &mut taken, &path)?;
            payload.omitted.push(Omission {
                what: format!("the name {path}"),
                why: format!("something of this server is called so; what came under it stands at {place}"),
            });
            place
        };
        if place.as_str().ends_with(".age") {
            payload.sealed.push(place.clone());
        }
        payload.entries.insert(place, entry);
    }
    Ok(())
}

/// A place aside for what cannot stand at `path`.
fn free(aside: &mut Namer, taken: &mut Taken, path: &EntryPath) -> Result<EntryPath, Error> {
    for _ in 0..1000 {
        let place = aside.place(path.as_str().trim_start_matches("data/"));
        if taken.take(&place).is_ok() {
            return Ok(place);
        }
    }
    Err(Error::Bug(format!("there is no place left for {path}")))
}

/// The names of ours that a carried entry could be one with: those in the same app, or with the same first folder.
fn taken_near(payload: &Payload, carried: &[(EntryPath, Entry)]) -> Taken {
    let start = |folded: &str, names: usize| match folded.match_indices('/').nth(names - 1) {
        Some((end, _)) => folded[..end].to_owned(),
        None => folded.to_owned(),
    };
    let near: HashSet<String> = carried.iter().map(|(path, _)| start(&path.folded(), 3)).collect();
    let folders: HashSet<String> = near.iter().map(|start_of| start(start_of, 2)).collect();
    let mut taken = Taken::default();
    if carried.is_empty() {
        return taken;
    }
    for path in payload.entries.keys() {
        // Apps have thousands of names of their own; those of apps nothing was carried for need no look.
        let folded = fold(path.as_str());
        let two = start(&folded, 2);
        let is_near = if two == apps::ROOT {
            near.contains(&start(&folded, 3)) || near.contains(&two)
        } else {
            folders.contains(&two)
        };
        if is_near {
            // What is ours was found beside each other.
            let _ = taken.take(path);
        }
    }
    taken
}

fn apply_echoes(db: &Connection, payload: &mut Payload) -> Result<(), Error> {
    let mut echoes = db.prepare(
        "select e.part, e.rendered, x.path, x.digest, x.size, x.crc32
         from archive_echo e join archive_echo_entry x on x.part = e.part order by e.part, x.path",
    )?;
    let mut rows = echoes.query([])?;
    let mut changes: Vec<(EntryPath, Option<Entry>)> = Vec::new();
    let mut here: Option<(String, bool)> = None;
    while let Some(row) = rows.next()? {
        let part: String = row.get(0)?;
        let fresh = match &here {
            Some((known, fresh)) if *known == part => *fresh,
            _ => rendered(payload, &part).to_string() == row.get::<_, String>(1)?,
        };
        here = Some((part, fresh));
        if !fresh {
            continue;
        }
        let path = render::path(&row.get::<_, String>(2)?)?;
        let entry = match row.get::<_, Option<String>>(3)? {
            Some(digest) => Some(blob(digest, row.get(4)?, row.get(5)?)?),
            None => None,
        };
        changes.push((path, entry));
    }
    for (path, entry) in changes {
        match entry {
            Some(entry) => payload.entries.insert(path, entry),
            None => payload.entries.remove(&path),
        };
    }
    Ok(())
}

fn blob(digest: String, size: i64, crc32: u32) -> Result<Entry, Error> {
    let digest = digest.parse().map_err(|_| Error::Bug(format!("{digest:?} is no digest")))?;
    Ok(Entry { summary: Summary { size: size.unsigned_abs(), digest, crc32 }, source: Source::Blob })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_app_is_one_part_and_other_documents_are_their_own() {
        let part_of = |text: &str| part(&text.parse().unwrap()).to_owned();
        assert_eq!(part_of("data/apps/org.example.notes/tables/notes/00.ndjson"), "data/apps/org.example.notes");
        assert_eq!(part_of("data/apps/org.example.notes/app.json"), "data/apps/org.example.notes");
        assert_eq!(part_of("data/account.json"), "data/account.json");
        assert_eq!(part_of("data/apps/readme"), "data/apps/readme");
    }
}
