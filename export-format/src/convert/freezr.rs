//! Backups of tables, as freezr's restore page takes them, with the files beside.
//!
//! The shape was looked up in the public repository salmanff/freezr (commits as in CONVERTING.md):
//! `systemapps/info.freezr.account/account_app_viewdata.js` writes such a backup, `…/account_app_restoredata.js` reads it and sends each
//! record to `POST /feps/restore/:app_table`, which `features/apps/controllers/cepsfepsApiController.mjs` answers. A file is one JSON
//! object: `schema` {`version` `1.0.0`, `type` `freezr_table_backup`}, `backup`, `table` {`app_name`, `app_table`, `user_id`,
//! `record_count`, `date_range`} and `records`; at most 10 MB by freezr's own custom; the files chosen at once must be of one table.

use jiff::Timestamp;
use serde_json::json;

use super::apps::{OWN, apps, each_row, segments};
use super::out::{Making, Out};
use super::text::one_line;
use super::{ConvertError, card};
use crate::entry::{Account, App, AppPart, Kind, Table};
use crate::reader::{Reader, Verified};
use crate::row::{MAX_PLAIN, Value};
use crate::source::Source;

pub(super) const README: &str = "These are backups for a freezr server. For each app:

1. Install the app there, so that its tables are known.
2. As the owner, open Account, the app, Restore data. Choose the files of one folder of restore/ together, the mode “Upsert” (so
   that documents keep their ids), and add all. Repeat for each folder. freezr names another user than yours if your name
   there differs from the one in the files; that is expected.
3. files/APP/ holds the app's files. They are uploaded through the app itself, or by PUT /feps/upload/APP.
";

/// How many bytes of records go into one file; freezr itself begins another at ten million.
const PART: usize = 8_000_000;

pub(super) fn write<S: Source>(archive: &Reader<S, Verified>, out: &mut Out<'_>) -> Result<(), ConvertError> {
    let manifest = archive.manifest();
    let at: Timestamp = manifest.snapshot.at.parse().unwrap_or_default();
    let backup =
        Backup { user: user_of(archive)?, server: format!("https://{}", one_line(&manifest.subject.domain)), at };
    for app in &apps(archive)? {
        for table in &app.tables {
            backup.table(archive, app, table, out)?;
        }
    }
    for entry in archive.entries().iter().filter(|entry| entry.path().is_payload()) {
        let kind = Kind::of(entry.path());
        if let Kind::App(id, AppPart::File(rest)) = kind {
            out.copy(archive, entry, "files", &format!("{id}/{rest}"))?;
            out.wrote("files", "files/");
        } else if let Some((what, why)) = no_place(kind) {
            out.leave(what, why);
        }
    }
    Ok(())
}

/// The person's name on a freezr server, as far as it can be guessed: the first part of their address.
fn user_of<S: Source>(archive: &Reader<S, Verified>) -> Result<String, ConvertError> {
    let mut handle = String::new();
    if let Some(entry) = archive.find("data/account.json") {
        let content = archive.document(entry).map_err(ConvertError::Read)?;
        handle = serde_json::from_slice::<Account>(&content).map(|account| account.handle).unwrap_or_default();
    }
    let first = handle.split(['.', '@']).find(|part| !part.is_empty()).unwrap_or("owner").to_lowercase();
    let name: String = first.chars().filter(|c| c.is_ascii_alphanumeric()).take(30).collect();
    Ok(if name.is_empty() || !card::is_host(&format!("{name}.example")) { "owner".to_owned() } else { name })
}

/// What all files have in common.
struct Backup {
    user: String,
    server: String,
    at: Timestamp,
}

/// One file that is being written.
struct Part {
    file: Making,
    number: u32,
    bytes: usize,
    records: u64,
    dates: Option<(i64, i64)>,
}

impl Backup {
    fn table<S: Source>(
        &self,
        archive: &Reader<S, Verified>,
        app: &App,
        table: &Table,
        out: &mut Out<'_>,
    ) -> Result<(), ConvertError> {
        let app_table = app_table(app, table);
        let mut part: Option<Part> = None;
        let mut number = 0;
        for segment in segments(archive, app, table) {
            each_row(archive, segment, &mut |row| {
                let (record, modified) = self.record(row, out);
                if let Some(full) = part.take_if(|part| part.bytes + record.len() > PART) {
                    self.close(full, app, &app_table, None)?;
                }
                let part = match &mut part {
                    Some(part) => {
                        part.file.put(",\n")?;
                        part
                    }
                    None => {
                        number += 1;
                        part.insert(self.begin(&app_table, number, out)?)
                    }
                };
                part.file.put(&record)?;
                part.bytes += record.len();
                part.records += 1;
                let (oldest, newest) = part.dates.unwrap_or((modified, modified));
                part.dates = Some((oldest.min(modified), newest.max(modified)));
                out.wrote("documents", "restore/");
                Ok(())
            })?;
            out.pass(segment.size());
        }
        match part {
            Some(part) => self.close(part, app, &app_table, Some(number)),
            None => Ok(()),
        }
    }

    fn begin(&self, app_table: &str, number: u32, out: &mut Out<'_>) -> Result<Part, ConvertError> {
        let stamp = self.at.strftime("%Y%m%dT%H%M%SZ");
        // The name of a table is the app's to choose; it makes no folders.
        let folder = app_table.replace('/', "_");
        let name = format!("{folder}/freezr_backup_{folder}_{}_{stamp}_part{number}.json", self.user);
        let mut file = out.create("restore", &name)?;
        file.put("{\"schema\":{\"version\":\"1.0.0\",\"type\":\"freezr_table_backup\"},\"records\":[\n")?;
        Ok(Part { file, number, bytes: 0, records: 0, dates: None })
    }

    /// What stands behind the records is known when they are written; the order of members means nothing.
    fn close(&self, part: Part, app: &App, app_table: &str, parts: Option<u32>) -> Result<(), ConvertError> {
        let Part { mut file, number, records, dates, .. } = part;
        let moment = |ms: i64| Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default();
        let (oldest, newest) = dates.unwrap_or_default();
        let backup = json!({
            "created_at": self.at.to_string(),
            "server_url": self.server,
            "server_version": null,
            "source": "freehold-archive",
            "part": number,
            "total_parts": parts,
        });
        let table = json!({
            "app_name": app.id.as_str(),
            "app_table": app_table,
            "user_id": self.user,
            "record_count": records,
            "date_range": { "oldest": moment(oldest), "newest": moment(newest) },
        });
        file.put(format!("\n],\"backup\":{backup},\"table\":{table}}}\n"))?;
        file.finish()
    }

    /// A row as a record of freezr's, and when it was last changed.
    fn record(&self, row: &Value, out: &mut Out<'_>) -> (String, i64) {
        restorable(row, self.at, &mut |what, why| out.leave(what, why))
    }
}

/// A row as freezr's restore call takes it, and when it was last changed. Both dates must be there, in milliseconds.
pub(super) fn restorable(row: &Value, at: Timestamp, leave: &mut dyn FnMut(&str, &str)) -> (String, i64) {
    let Value::Object(mut members) = row.clone() else { return (row.to_document(), at.as_millisecond()) };
    let date = |names: [&str; 2]| {
        names.iter().find_map(|name| match row.get(name)? {
            Value::Int(ms) => i64::try_from(*ms).ok(),
            Value::Text(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
            _ => None,
        })
    };
    let modified = date(["_date_modified", "_modified"]).or_else(|| date(["_date_created", "_created"]));
    let modified = modified.unwrap_or_else(|| at.as_millisecond());
    let created = date(["_date_created", "_created"]).unwrap_or(modified);
    members.insert("_date_created".into(), Value::Int(created.into()));
    members.insert("_date_modified".into(), Value::Int(modified.into()));
    if members.values().any(is_rounded) {
        leave("documents with whole numbers beyond 2^53, exactly", "JavaScript rounds them; freezr will too");
    }
    let mut refers = 0;
    row.for_each_blob(&mut |_| refers += 1);
    if refers > 0 {
        leave(
            "documents that refer to files, as such",
            "freezr has no references; they are objects with a member $blob",
        );
    }
    // freezr has no tags of ours, so members of the person's own that look like one stand there as they are.
    (Value::Object(members).to_document(), modified)
}

/// What of an archive has no place on a freezr server, beyond tables and files: what it is and why.
pub(super) fn no_place(kind: Kind<'_>) -> Option<(&'static str, &'static str)> {
    match kind {
        Kind::App(_, AppPart::File(_) | AppPart::Segment(_) | AppPart::App | AppPart::Schema(_) | AppPart::Files) => {
            None
        }
        Kind::App(_, AppPart::Code(_)) => {
            Some(("files of apps themselves", "an app is installed anew from its source"))
        }
        Kind::App(_, _) => Some(("files of servers' apps", "freezr runs no containers")),
        Kind::Permissions => Some(("documents of permissions", "they are asked for again when an app is installed")),
        Kind::Account | Kind::Settings => Some(("documents about the account", "freezr has an account of its own")),
        Kind::Sealed | Kind::Did => Some(("documents of identity", "freezr knows people by their names on a server")),
        Kind::Contacts | Kind::Calendar => Some((
            "files of contacts and calendars",
            "freezr restores tables of apps only; convert to folders for them",
        )),
        Kind::Message => {
            Some(("files of messages", "freezr restores tables of apps only; convert to folders for them"))
        }
        _ => Some(("other files", "freezr has no place for them")),
    }
}

/// What freezr calls a table.
pub(super) fn app_table(app: &App, table: &Table) -> String {
    match table.name.as_str() {
        OWN => app.id.to_string(),
        name => format!("{}.{name}", app.id),
    }
}

fn is_rounded(value: &Value) -> bool {
    match value {
        Value::Int(number) => number.abs() > MAX_PLAIN,
        Value::List(list) => list.iter().any(is_rounded),
        Value::Object(members) => members.values().any(is_rounded),
        _ => false,
    }
}
