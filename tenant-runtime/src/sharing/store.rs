//! The table `share`: what `_accessibles` of all records say together.

use export_format::AppId;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use super::entry::{self, Giver};
use super::visitors::Visitor;
use super::{Grantee, KIND, contacts};
use crate::documents::{self, Error, TableName};
use crate::permissions::{Permission, Status};
use crate::server::Registry;
use crate::settings;

/// Has the table of a collection tell of what its records say.
pub(crate) fn watch(db: &Connection, n: i64) -> Result<(), Error> {
    let text = |name: &str| format!("case when json_type(value, '$.{name}') = 'text' then value ->> '$.{name}' end");
    // What an archive brought may be of any shape, and no shape may keep it from being written.
    let read = format!(
        "delete from share where collection = {n} and record = new._id;
         insert into share (collection, record, grantee, app, permission, since, code, publicid)
         select {n}, new._id, grantee, app, permission, max(since), max(code),
            case when grantee = '_public' and json_type(new.doc, '$._publicid') = 'text' then new.doc ->> '$._publicid' end
         from (select {grantee} as grantee, {app} as app, {permission} as permission, {code} as code,
                case when json_type(value, '$.since') = 'integer' then value ->> '$.since' else new.created end as since
             from (select case when type = 'object' then value else '{{}}' end as value
                from json_each(new.doc, '$._accessibles')
                where json_type(new.doc, '$._accessibles') = 'array')
             where json_type(value, '$.granted') = 'true')
         where grantee is not null and app is not null and permission is not null group by grantee, app, permission;",
        grantee = text("grantee"),
        app = text("requestor_app"),
        permission = text("permission_name"),
        code = text("code"),
    );
    let says = |row: &str| format!("instr({row}.doc, '\"_accessibles\"') > 0");
    db.execute_batch(&format!(
        "create trigger document_{n}_shares_new after insert on document_{n} when {new} begin {read} end;
         create trigger document_{n}_shares_changed after update on document_{n} when {old} or {new} begin {read} end;
         create trigger document_{n}_shares_gone after delete on document_{n} when {old} begin
            delete from share where collection = {n} and record = old._id;
         end;",
        old = says("old"),
        new = says("new"),
    ))?;
    Ok(())
}

/// The same for every collection there is, whose records are read once.
pub(crate) fn watch_all(db: &Connection) -> Result<(), Error> {
    let mut query = db.prepare("select n from collection order by n")?;
    let all = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    for n in all {
        watch(db, n)?;
        db.execute_batch(&format!("update document_{n} set doc = doc where instr(doc, '\"_accessibles\"') > 0"))?;
    }
    Ok(())
}

/// The permissions by which shares count at this moment.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pairs: String,
}

/// Whether what is shared by a permission counts.
pub(crate) fn stands(asked: &Permission) -> bool {
    asked.kind == KIND && asked.status != Status::Denied
}

impl Standing {
    /// Those that installed apps ask for and the owner has not refused. One that waits for an answer counts, for nothing new
    /// can be shared by it, and what was shared before a move goes on being so.
    pub(crate) fn of(apps: &Registry) -> Self {
        let stands = apps.all().into_iter().flat_map(|app| apps.asked_by(&app.record.id)).filter(stands);
        let pairs: Vec<String> = stands.map(|asked| format!("{}\n{}", asked.app, asked.name)).collect();
        Self { pairs: serde_json::to_string(&pairs).expect("texts are JSON") }
    }
}

/// A record that is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) table: TableName,
    /// Its `_id`.
    pub(crate) id: String,
    /// Since when, Unix milliseconds.
    pub(crate) since: i64,
}

/// Which shared records.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// To whom they are shown, as any of these.
    pub(crate) grantees: Vec<Grantee>,
    /// By the word of one app and permission only.
    pub(crate) by: Option<Giver>,
    /// Of one app only.
    pub(crate) app: Option<String>,
    /// Of one table only.
    pub(crate) table: Option<String>,
    /// Under this name only.
    pub(crate) publicid: Option<String>,
}

const STANDS: &str = "s.app || char(10) || s.permission in (select value from json_each(?1))";

/// What is shown to a grantee, the newest first.
pub(crate) fn found(db: &Connection, standing: &Standing, wanted: &Wanted, limit: usize) -> Result<Vec<Found>, Error> {
    let text = format!(
        "select c.app, c.name, s.record, max(s.since) as at from share s join collection c on c.n = s.collection
         where s.grantee in (select value from json_each(?2)) and {STANDS} and (?3 is null or c.app = ?3) and (?4 is null or s.publicid = ?4)
            and (?7 is null or s.app = ?7) and (?8 is null or s.permission = ?8)
            and (?5 is null or c.app || iif(c.name = '', '', '.' || c.name) = ?5)
         group by s.collection, s.record order by at desc, s.collection, s.record limit ?6"
    );
    let values = params![
        standing.pairs,
        names(&wanted.grantees),
        wanted.app,
        wanted.publicid,
        wanted.table,
        i64::try_from(limit).unwrap_or(i64::MAX),
        wanted.by.as_ref().map(|by| by.app.as_str()),
        wanted.by.as_ref().map(|by| by.permission.as_str()),
    ];
    let mut query = db.prepare_cached(&text)?;
    let mut rows = query.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(found_of(row)?);
    }
    Ok(all)
}

fn names(grantees: &[Grantee]) -> String {
    let names: Vec<String> = grantees.iter().map(Grantee::to_string).collect();
    serde_json::to_string(&names).expect("texts are JSON")
}

/// What a visitor may look for.
fn wanted_by(db: &Connection, visitor: &Visitor) -> Result<Option<Wanted>, Error> {
    let Visitor { person, claim } = visitor;
    if !contacts::is_known(db, person)? {
        return Ok(None);
    }
    let by = Giver { app: claim.app.clone(), permission: claim.permission.clone() };
    let grantees = contacts::as_grantees(db, person)?;
    Ok(Some(Wanted { grantees, by: Some(by), app: None, table: Some(claim.table.clone()), publicid: None }))
}

/// What is shared with a visitor, in the way they claim, the newest first; nothing with whoever is no contact or is blocked.
pub(crate) fn shared_with(
    db: &Connection,
    standing: &Standing,
    visitor: &Visitor,
    limit: usize,
) -> Result<Vec<Found>, Error> {
    match wanted_by(db, visitor)? {
        Some(wanted) => found(db, standing, &wanted, limit),
        None => Ok(Vec::new()),
    }
}

/// Whether anything is.
pub(crate) fn shares_with(db: &Connection, standing: &Standing, visitor: &Visitor) -> Result<bool, Error> {
    Ok(!shared_with(db, standing, visitor, 1)?.is_empty())
}

/// Whether one record is.
pub(crate) fn opens_to(
    db: &Connection,
    standing: &Standing,
    visitor: &Visitor,
    table: &TableName,
    id: &str,
) -> Result<bool, Error> {
    let (Some(wanted), Some(n)) = (wanted_by(db, visitor)?, documents::number(db, table)?) else { return Ok(false) };
    if table.to_string() != visitor.claim.table {
        return Ok(false);
    }
    let text = format!(
        "select exists (select 1 from share s where s.collection = ?3 and s.record = ?4 and {STANDS}
            and s.grantee in (select value from json_each(?2)) and s.app = ?5 and s.permission = ?6)"
    );
    let claim = &visitor.claim;
    let values = params![standing.pairs, names(&wanted.grantees), n, id, claim.app.as_str(), claim.permission];
    Ok(db.prepare_cached(&text)?.query_row(values, |row| row.get(0))?)
}

fn found_of(row: &SqlRow<'_>) -> Result<Found, Error> {
    let app: AppId = row.get::<_, String>(0)?.parse()?;
    let table = TableName::new(&app, &row.get::<_, String>(1)?)?;
    Ok(Found { table, id: row.get(2)?, since: row.get(3)? })
}

/// To whom a record is shown, each with the code that this takes.
fn shares_of(
    db: &Connection,
    standing: &Standing,
    table: &TableName,
    id: &str,
) -> Result<Vec<(Grantee, Option<String>)>, Error> {
    let Some(n) = documents::number(db, table)? else { return Ok(Vec::new()) };
    let text = format!("select s.grantee, s.code from share s where {STANDS} and s.collection = ?2 and s.record = ?3");
    let mut query = db.prepare_cached(&text)?;
    let rows = query.query_map(params![standing.pairs, n, id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut all = Vec::new();
    for row in rows {
        let (grantee, code): (String, Option<String>) = row?;
        // What an archive brought may name nobody.
        if let Ok(grantee) = grantee.parse() {
            all.push((grantee, code));
        }
    }
    Ok(all)
}

/// Whether whoever asks may see a record that is shared: it is for everyone, or the code is that of a link to it.
pub(crate) fn opening(
    db: &Connection,
    standing: &Standing,
    table: &TableName,
    id: &str,
    code: Option<&str>,
) -> Result<Option<Grantee>, Error> {
    let mut by_code = None;
    for (grantee, kept) in shares_of(db, standing, table, id)? {
        let expected = match &grantee {
            Grantee::Public => return Ok(Some(grantee)),
            Grantee::PrivateLink => kept,
            Grantee::PrivateFeed(feed) => code_of_feed(db, feed)?,
            Grantee::Group(_) | Grantee::Person(_) => None,
        };
        if let (Some(expected), Some(code)) = (expected, code)
            && is_same(&expected, code)
        {
            by_code = Some(grantee);
        }
    }
    Ok(by_code)
}

/// Compares by digests, so that how long it takes tells nothing of the code.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    export_format::Digest::of(one.as_bytes()) == export_format::Digest::of(other.as_bytes())
}

/// The code that opens a private feed.
pub(crate) fn code_of_feed(db: &Connection, feed: &str) -> Result<Option<String>, Error> {
    Ok(settings::get(db, &entry::feed_setting(feed))?)
}

/// A record that is shared with somebody by somebody's word.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) table: TableName,
    pub(crate) id: String,
    pub(crate) grantee: Grantee,
    pub(crate) giver: Giver,
}

/// Everything that is shared, whether it counts at this moment or not, the newest first.
pub(crate) fn listed(db: &Connection, limit: usize) -> Result<Vec<Listed>, Error> {
    let text = "select c.app, c.name, s.record, s.since, s.grantee, s.app, s.permission
         from share s join collection c on c.n = s.collection order by s.since desc, s.collection, s.record limit ?1";
    let mut query = db.prepare_cached(text)?;
    let mut rows = query.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let Found { table, id, .. } = found_of(row)?;
        let (grantee, app): (String, String) = (row.get(4)?, row.get(5)?);
        // What an archive brought may name nobody.
        if let (Ok(grantee), Ok(app)) = (grantee.parse(), app.parse()) {
            all.push(Listed { table, id, grantee, giver: Giver { app, permission: row.get(6)? } });
        }
    }
    Ok(all)
}

/// Whether anything at all is shared with a grantee.
pub(super) fn is_used(db: &Connection, grantee: &str) -> Result<bool, Error> {
    Ok(db.query_row("select exists (select 1 from share where grantee = ?1)", [grantee], |row| row.get(0))?)
}

/// The record that a public name belongs to.
pub(crate) fn publicid_owner(db: &Connection, publicid: &str) -> Result<Option<(TableName, String)>, Error> {
    let text = "select c.app, c.name, s.record, s.since from share s join collection c on c.n = s.collection
         where s.publicid = ?1 order by s.since limit 1";
    let mut query = db.prepare_cached(text)?;
    let found = query.query_row([publicid], |row| Ok(found_of(row))).optional()?.transpose()?;
    Ok(found.map(|found| (found.table, found.id)))
}
