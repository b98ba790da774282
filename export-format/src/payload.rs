//! What stands beneath `data/`: every file's content against its digest, every document against its rules.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::digest::{Digest, Summary};
use crate::entry::{
    ACCOUNT_SCHEMA, APP_SCHEMA, App, AppPart, DOMAINS_SCHEMA, FileRow, Form, Kind, PERMISSION_SCHEMA, ProviderPart,
    SETTINGS_SCHEMA,
};
use crate::finding::{Code, Finding, Findings};
use crate::head::json;
use crate::history::{EVENT_SCHEMA, INVOICE_SCHEMA, PROVIDER_SCHEMA, USAGE_SCHEMA};
use crate::ident::AppId;
use crate::layout::Entry;
use crate::manifest::Manifest;
use crate::path::EntryPath;
use crate::row::Value;
use crate::scan::Scan;
use crate::shape::{Want, require};

/// Takes in the payload entry by entry, in their order, and compares in the end what must fit together.
#[derive(Debug)]
pub(crate) struct Payload {
    known: HashMap<EntryPath, Known>,
    apps: BTreeMap<String, AppSeen>,
    grants: u64,
    schedules: u64,
    domains: bool,
    /// Kept where a later archive may build on this one.
    learned: Option<Learned>,
    /// Of the document that is being read.
    refers_to: HashSet<String>,
}

/// What was learned of documents that have to fit others, so that they need not be read again where they come again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Learned {
    documents: BTreeMap<EntryPath, Arc<Facts>>,
    /// The length of all names in it.
    weight: usize,
}

/// How long the names may be together that are learned; documents that say more are read again.
const MOST_LEARNED: usize = 16 << 20;

/// Of one document: all that others have to fit.
#[derive(Debug, Default)]
struct Facts {
    rows: u64,
    ids: Option<(String, String)>,
    /// The files it speaks of.
    refers_to: HashSet<String>,
}

/// What has to be done about an entry that comes from a verified archive, under the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Nothing: its own content says all, and was judged.
    Settled,
    /// What was learned of it says all, unless a file it speaks of has changed.
    Learned,
    /// It is read.
    Read,
}

/// A file as the manifest lists it.
#[derive(Debug)]
struct Known {
    digest: Digest,
    /// `None` until it arrives, where archives only flow past.
    size: Option<u64>,
    /// What a document before it said of its size, with the finding there is to be if it was wrong. Further documents that
    /// say the same need no note.
    said: Vec<(u64, Finding)>,
}

/// How many different sizes may be said of one file that has not come yet; all but one of them are wrong.
const MAX_SAID: usize = 4;

#[derive(Debug, Default)]
struct AppSeen {
    app: Option<App>,
    /// Rows by segment, relative to the app's folder.
    segments: BTreeMap<String, u64>,
    /// The last `_id` by segment, and the first.
    ids: BTreeMap<String, (String, String)>,
    files: u64,
    file_rows: BTreeSet<String>,
    has_file_rows: bool,
}

impl Payload {
    /// For these entries.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        Self::listed(entries.iter().filter_map(|entry| Some((entry.path.clone(), entry.digest?, Some(entry.size)))))
    }

    /// For the files that a manifest lists, with their sizes if they are known already.
    pub(crate) fn listed(files: impl Iterator<Item = (EntryPath, Digest, Option<u64>)>) -> Self {
        let known = |(path, digest, size)| (path, Known { digest, size, said: Vec::new() });
        Self {
            known: files.map(known).collect(),
            apps: BTreeMap::new(),
            grants: 0,
            schedules: 0,
            domains: false,
            learned: None,
            refers_to: HashSet::new(),
        }
    }

    /// The same, and it keeps what it learns.
    pub(crate) fn learning(mut self) -> Self {
        self.learned = Some(Learned::default());
        self
    }

    /// What was learned.
    pub(crate) fn take_learned(&mut self) -> Learned {
        self.learned.take().unwrap_or_default()
    }

    /// What has to be done about an entry whose path and content were verified in another archive.
    pub(crate) fn again(path: &EntryPath) -> Again {
        match Kind::of(path) {
            Kind::App(_, AppPart::Segment(_) | AppPart::Files) => Again::Learned,
            Kind::App(_, AppPart::App)
            | Kind::Permissions
            | Kind::Schedules
            | Kind::Domains
            | Kind::Provider(_, ProviderPart::Invoices) => Again::Read,
            _ => Again::Settled,
        }
    }

    /// Takes in a document of which `former` knows all that others have to fit; false when it must be read, since something
    /// it speaks of is among `changed`.
    pub(crate) fn recall(
        &mut self,
        entry: &Entry,
        former: &Learned,
        changed: &HashSet<&str>,
        findings: &mut Findings,
    ) -> bool {
        let path = &entry.path;
        let (Some(facts), Kind::App(id, part)) = (former.documents.get(path), Kind::of(path)) else { return false };
        let touched = match changed.len() < facts.refers_to.len() {
            true => changed.iter().any(|path| facts.refers_to.contains(*path)),
            false => facts.refers_to.iter().any(|path| changed.contains(path.as_str())),
        };
        if touched {
            return false;
        }
        let app = self.apps.entry(id.to_owned()).or_default();
        match part {
            AppPart::Segment(_) => {
                let relative = relative_to_app(path, id);
                if let Some(ids) = &facts.ids {
                    app.ids.insert(relative.clone(), ids.clone());
                }
                app.segments.insert(relative, facts.rows);
            }
            AppPart::Files => {
                app.has_file_rows = true;
                for file in &facts.refers_to {
                    let name =
                        file.strip_prefix("data/apps/").and_then(|rest| rest.get(id.len() + 1..)).unwrap_or_default();
                    if !app.file_rows.insert(name.to_owned()) {
                        findings.add(Code::Files.at(path, format_args!("{name} stands twice")));
                    }
                }
            }
            _ => return false,
        }
        self.keep(path.clone(), Arc::clone(facts));
        true
    }

    /// A document is at most 8 MiB, and so is all it can speak of.
    fn keep(&mut self, path: EntryPath, facts: Arc<Facts>) {
        let Some(learned) = &mut self.learned else { return };
        let weight = facts.refers_to.iter().map(String::len).sum::<usize>();
        if learned.weight + weight <= MOST_LEARNED {
            learned.weight += weight;
            learned.documents.insert(path, facts);
        }
    }

    /// Whether this entry's content must be given whole to [`Payload::document`].
    pub(crate) fn wants_content(entry: &Entry) -> bool {
        Kind::of(&entry.path).form(&entry.path) != Form::Opaque || is_sealed(&entry.path)
    }

    /// Takes in what an entry's content turned out to be.
    pub(crate) fn file(&mut self, entry: &Entry, summary: &Summary, findings: &mut Findings) {
        if let Some(known) = self.known.get_mut(&entry.path)
            && known.size.is_none()
        {
            known.size = Some(entry.size);
            let wrong = std::mem::take(&mut known.said).into_iter().filter(|(size, _)| *size != entry.size);
            wrong.for_each(|(_, finding)| findings.add(finding));
        }
        if summary.size != entry.size || entry.digest.is_some_and(|digest| digest != summary.digest) {
            findings.add(Code::Digest.at(&entry.path, ""));
        }
        if let Kind::App(id, part) = Kind::of(&entry.path) {
            if !self.apps.contains_key(id) {
                if let Err(err) = id.parse::<AppId>() {
                    findings.add(Code::Document.at(&entry.path, err));
                }
                self.apps.insert(id.to_owned(), AppSeen::default());
            }
            if let (AppPart::File(_), Some(app)) = (part, self.apps.get_mut(id)) {
                app.files += 1;
            }
        }
    }

    /// Takes in a document's content.
    pub(crate) fn document(&mut self, entry: &Entry, content: &[u8], findings: &mut Findings) {
        let path = &entry.path;
        let kind = Kind::of(path);
        match kind.form(path) {
            Form::Json => match json(content) {
                Err(err) => findings.add(Code::Json.at(path, err)),
                Ok(value) => self.json(kind, path, &value, content, findings),
            },
            Form::Rows => self.rows(kind, path, content, findings),
            Form::Opaque => {}
        }
    }

    fn json(&mut self, kind: Kind<'_>, path: &EntryPath, value: &Value, content: &[u8], findings: &mut Findings) {
        match kind {
            Kind::App(id, AppPart::App) => {
                let read = require(value, &[("schema", Want::Exactly(APP_SCHEMA))])
                    .and_then(|()| serde_json::from_slice::<App>(content).map_err(|err| err.to_string()));
                match read {
                    Err(why) => findings.add(Code::Document.at(path, why)),
                    Ok(app) if app.id.as_str() != id => {
                        findings.add(Code::Document.at(path, "its id is not the name of its folder"))
                    }
                    Ok(app) => self.apps.entry(id.to_owned()).or_default().app = Some(app),
                }
            }
            Kind::Domains => self.domains = true,
            _ => {}
        }
        if let Err(why) = require_of_document(kind, value) {
            findings.add(Code::Document.at(path, why));
        }
    }

    fn rows(&mut self, kind: Kind<'_>, path: &EntryPath, content: &[u8], findings: &mut Findings) {
        let Ok(text) = std::str::from_utf8(content) else {
            return findings.add(Code::Row.at(path, "it is not UTF-8"));
        };
        if !text.is_empty() && !text.ends_with('\n') {
            findings.add(Code::Row.at(path, "the last line does not end"));
        }
        let mut ids: Option<(String, String)> = None;
        let mut scan = Scan::new(text);
        let (mut count, mut at) = (0, 0);
        while at < text.len() {
            count += 1;
            let number = count as usize;
            if let Kind::App(id, part @ (AppPart::Segment(_) | AppPart::Files)) = kind
                && let Some(sound) = scan.row(at)
            {
                let line = &text[at..sound.end];
                at = sound.end + 1;
                match part {
                    AppPart::Files => self.file_row(id, path, number, line, findings),
                    _ => note_id(path, number, sound.id, &mut ids, findings),
                }
                continue;
            }
            let line = text[at..].split('\n').next().unwrap_or_default();
            at += line.len() + 1;
            let value = match Value::from_row(line) {
                Ok(value) => value,
                Err(err) => {
                    findings.add(Code::Row.at(path, format_args!("line {number}: {err}")));
                    continue;
                }
            };
            match kind {
                Kind::App(id, AppPart::Segment(_)) => self.table_row(id, path, number, &value, &mut ids, findings),
                Kind::App(id, AppPart::Files) => self.file_row(id, path, number, line, findings),
                Kind::Provider(provider, ProviderPart::Invoices) => {
                    self.readable_bill(provider, path, number, &value, findings)
                }
                _ => {}
            }
            if let Err(why) = require_of_row(kind, &value) {
                findings.add(Code::Row.at(path, format_args!("line {number}: {why}")));
            }
        }
        match kind {
            Kind::Permissions => self.grants += count,
            Kind::Schedules => self.schedules += count,
            Kind::App(id, AppPart::Segment(_)) => {
                let app = self.apps.entry(id.to_owned()).or_default();
                let relative = relative_to_app(path, id);
                if let Some(ids) = &ids {
                    app.ids.insert(relative.clone(), ids.clone());
                }
                app.segments.insert(relative, count);
            }
            Kind::App(id, AppPart::Files) => self.apps.entry(id.to_owned()).or_default().has_file_rows = true,
            _ => {}
        }
        let refers_to = std::mem::take(&mut self.refers_to);
        if Self::again(path) == Again::Learned {
            self.keep(path.clone(), Arc::new(Facts { rows: count, ids, refers_to }));
        }
    }

    /// The document that is being read speaks of this file.
    fn note(&mut self, path: &str) {
        if self.learned.is_some() && !self.refers_to.contains(path) {
            self.refers_to.insert(path.to_owned());
        }
    }

    /// Whether the archive has this file, as far as that can be told now; what it cannot is noted with `finding`.
    fn has(&mut self, path: &str, digest: Digest, size: u64, finding: impl FnOnce() -> Finding) -> bool {
        let Some(known) = self.known.get_mut(path).filter(|known| known.digest == digest) else { return false };
        if known.size.is_none() && known.said.len() < MAX_SAID && known.said.iter().all(|(said, _)| *said != size) {
            known.said.push((size, finding()));
        }
        known.size.is_none_or(|known| known == size)
    }

    fn table_row(
        &mut self,
        app: &str,
        path: &EntryPath,
        line: usize,
        value: &Value,
        ids: &mut Option<(String, String)>,
        findings: &mut Findings,
    ) {
        note_id(path, line, value.get("_id").and_then(Value::as_text), ids, findings);
        value.for_each_blob(&mut |blob| {
            let finding = || Code::BlobMissing.at(path, format_args!("line {line}: {}", blob.path));
            let listed = format!("data/apps/{app}/{}", blob.path);
            self.note(&listed);
            if !self.has(&listed, blob.digest, blob.size, finding) {
                findings.add(finding());
            }
        });
    }

    fn file_row(&mut self, app: &str, path: &EntryPath, line: usize, text: &str, findings: &mut Findings) {
        let row: FileRow = match serde_json::from_str(text) {
            Ok(row) => row,
            Err(err) => return findings.add(Code::Row.at(path, format_args!("line {line}: {err}"))),
        };
        let finding = || Code::Files.at(path, format_args!("line {line}: {}", row.path));
        let listed = format!("data/apps/{app}/{}", row.path);
        self.note(&listed);
        if !row.path.starts_with("files/") || !self.has(&listed, row.sha256, row.size, finding) {
            findings.add(finding());
        } else if !self.apps.entry(app.to_owned()).or_default().file_rows.insert(row.path.clone()) {
            findings.add(Code::Files.at(path, format_args!("line {line}: {} stands twice", row.path)));
        }
    }

    fn readable_bill(&self, provider: &str, path: &EntryPath, line: usize, row: &Value, findings: &mut Findings) {
        if let Some(text) = row.get("text").and_then(Value::as_text)
            && !self.known.contains_key(format!("data/providers/{provider}/{text}").as_str())
        {
            findings.add(Code::BlobMissing.at(path, format_args!("line {line}: {text}")));
        }
    }

    /// Compares what must fit together.
    pub(crate) fn finish(self, manifest: Option<&Manifest>, findings: &mut Findings) {
        let mut counts = [("apps", self.apps.len() as u64), ("tables", 0), ("documents", 0), ("files", 0)];
        for (id, seen) in &self.apps {
            let at = format!("data/apps/{id}");
            match &seen.app {
                None => findings.add(Code::Document.at(&at, "it has no app.json")),
                Some(app) => {
                    counts[1].1 += app.tables.len() as u64;
                    seen.compare_tables(app, &at, findings);
                    for schema in app.tables.iter().filter_map(|table| table.schema.as_ref()) {
                        let schema = format!("{at}/{schema}");
                        if !self.known.contains_key(schema.as_str()) {
                            findings
                                .add(Code::Segment.at(schema, "a table names it as its schema, and it is not there"));
                        }
                    }
                }
            }
            counts[2].1 += seen.segments.values().sum::<u64>();
            counts[3].1 += seen.files;
            if seen.has_file_rows && seen.file_rows.len() as u64 != seen.files {
                findings.add(Code::Files.at(format_args!("{at}/files.ndjson"), "it does not list every file"));
            } else if !seen.has_file_rows && seen.files > 0 {
                findings.add(Code::Files.at(&at, "files.ndjson is missing"));
            }
        }
        if let Some(manifest) = manifest {
            let said = [manifest.counts.apps, manifest.counts.tables, manifest.counts.documents, manifest.counts.files];
            for ((what, count), said) in counts.into_iter().zip(said) {
                if count != said {
                    findings.add(Code::Counts.found(format_args!("it says {said} {what}, there are {count}")));
                }
            }
            let mut sealed: BTreeSet<&str> =
                self.known.keys().filter(|path| is_sealed(path)).map(EntryPath::as_str).collect();
            for listed in manifest.secrets.iter().flat_map(|secrets| &secrets.files) {
                if !sealed.remove(listed.as_str()) {
                    findings.add(
                        Code::Secrets
                            .at(listed, "pcc.json lists it, and it is missing, no sealed file, or listed twice"),
                    );
                }
            }
            for unlisted in sealed {
                findings.add(Code::Secrets.at(unlisted, "pcc.json does not list it"));
            }
        }
        if self.grants > 0 {
            findings.add(Code::Grants.found(format_args!("{} of them", self.grants)));
        }
        if self.schedules > 0 {
            findings.add(Code::Schedules.found(format_args!("{} of them", self.schedules)));
        }
        if self.domains {
            findings.add(Code::Domains.found(""));
        }
    }
}

impl Learned {
    /// The first and the last `_id` of a segment.
    pub(crate) fn ids(&self, segment: &EntryPath) -> Option<(&str, &str)> {
        let (first, last) = self.documents.get(segment)?.ids.as_ref()?;
        Some((first, last))
    }
}

impl AppSeen {
    fn compare_tables(&self, app: &App, at: &str, findings: &mut Findings) {
        let mut left: BTreeSet<&str> = self.segments.keys().map(String::as_str).collect();
        let mut names = BTreeSet::new();
        for table in &app.tables {
            if !names.insert(table.name.as_str()) {
                findings.add(Code::Segment.at(at, format_args!("two tables have the name {}", table.name)));
            }
            let mut rows = 0;
            let mut last: Option<&str> = None;
            for segment in &table.segments {
                match self.segments.get(segment) {
                    Some(0) => findings.add(Code::Segment.at(format_args!("{at}/{segment}"), "it has no row")),
                    Some(count) if left.remove(segment.as_str()) => rows += count,
                    _ => findings.add(Code::Segment.at(format_args!("{at}/{segment}"), "")),
                }
                if let Some((first_id, last_id)) = self.ids.get(segment) {
                    if last.is_some_and(|last| last >= first_id.as_str()) {
                        findings
                            .add(Code::RowOrder.at(format_args!("{at}/{segment}"), "the segment before it ends later"));
                    }
                    last = Some(last_id);
                }
            }
            if rows != table.count {
                findings.add(
                    Code::Segment
                        .at(at, format_args!("table {} should have {} rows, it has {rows}", table.name, table.count)),
                );
            }
        }
        for segment in left {
            findings.add(Code::Segment.at(format_args!("{at}/{segment}"), "no table lists it"));
        }
    }
}

/// Compares a JSON document with what one of its kind must say.
fn require_of_document(kind: Kind<'_>, value: &Value) -> Result<(), String> {
    use Want::{Exactly, Text};
    match kind {
        Kind::Account => require(
            value,
            &[("schema", Exactly(ACCOUNT_SCHEMA)), ("id", Text), ("handle", Text), ("displayName", Text)],
        ),
        Kind::Settings | Kind::Domains if value.get("schema").is_none() => require(value, &[]),
        Kind::Settings => require(value, &[("schema", Exactly(SETTINGS_SCHEMA))]),
        Kind::Domains => require(value, &[("schema", Exactly(DOMAINS_SCHEMA))]),
        Kind::Provider(_, ProviderPart::Provider) => {
            require(value, &[("schema", Exactly(PROVIDER_SCHEMA)), ("name", Text), ("origin", Text)])
        }
        _ => Ok(()),
    }
}

/// Compares a row with what one of its kind must say.
fn require_of_row(kind: Kind<'_>, value: &Value) -> Result<(), String> {
    use Want::{Any, Day, Exactly, Moment, Naming, Text, Texts, Whole};
    match kind {
        Kind::Permissions => require(
            value,
            &[
                ("schema", Exactly(PERMISSION_SCHEMA)),
                ("id", Text),
                ("grantor", Text),
                ("grantee", Any),
                ("resource", Any),
                ("actions", Texts),
            ],
        ),
        Kind::Provider(_, ProviderPart::Invoices) => require(
            value,
            &[
                ("schema", Exactly(INVOICE_SCHEMA)),
                ("id", Text),
                ("issued", Moment),
                ("currency", Text),
                ("amount", Whole),
                ("status", Text),
            ],
        ),
        Kind::Provider(_, ProviderPart::Usage) => require(value, &[("schema", Exactly(USAGE_SCHEMA)), ("date", Day)]),
        Kind::Provider(_, ProviderPart::Log) => require(
            value,
            &[
                ("schema", Exactly(EVENT_SCHEMA)),
                ("id", Text),
                ("at", Moment),
                ("what", Text),
                ("who", Naming("kind")),
                ("text", Text),
            ],
        ),
        _ => Ok(()),
    }
}

/// Takes in the `_id` of a table's next row; `ids` are the first and the last so far.
fn note_id(
    path: &EntryPath,
    line: usize,
    id: Option<&str>,
    ids: &mut Option<(String, String)>,
    findings: &mut Findings,
) {
    let Some(id) = id else {
        return findings.add(Code::Row.at(path, format_args!("line {line}: it has no _id")));
    };
    match ids {
        None => *ids = Some((id.to_owned(), id.to_owned())),
        Some((_, last)) => {
            if last.as_str() >= id {
                findings.add(Code::RowOrder.at(path, format_args!("line {line}")));
            }
            id.clone_into(last);
        }
    }
}

/// Whether the file at this path must be an age file.
pub(crate) fn is_sealed(path: &EntryPath) -> bool {
    let own = !matches!(Kind::of(path), Kind::App(_, AppPart::Code(_) | AppPart::File(_) | AppPart::Volume));
    own && path.as_str().ends_with(".age")
}

fn relative_to_app(path: &EntryPath, id: &str) -> String {
    path.as_str()
        .strip_prefix("data/apps/")
        .and_then(|rest| rest.strip_prefix(id))
        .map(|rest| rest.trim_start_matches('/'))
        .unwrap_or_default()
        .to_owned()
}
