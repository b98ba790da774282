//! The history at this provider, in its own folder beneath `data/providers/` (SPEC.md 12).
//!
//! The provider hands it over with the wish for an export, because the server itself knows of no bills. The folders of
//! earlier providers were carried here and leave as they came. Where this provider's own folder came along as well (the
//! person was here before), the rows that came are kept and ours are added; of two with the same id ours stays.
//!
//! Invariant: nothing that came with an import can keep an export from being made. Where our names collide with carried
//! ones, or more came of our folder than is read again, ours goes into a folder of another name beside it; what finds no
//! place at all is named among what is omitted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use export_format::entry::{Kind, ProviderPart, segment};
use export_format::history;
use export_format::path::{Namer, Taken};
use export_format::row::Value as Row;
use export_format::{Digest, EntryPath};
use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Payload, Sink, domains, render};
use crate::admin::api::{Bill, DomainsHanded, Omission, ProviderHistory};
use crate::archive::error::Error;

/// Where all of it stands.
const ROOT: &str = "data/providers";
/// The most of our own folder that is read again to be added to, in bytes. It is held in memory for as long.
pub const MOST: u64 = 8 << 20;
/// The longest document of rows, in bytes.
const LONGEST: usize = 8 << 20;
/// How many folders are tried before the history is left out.
const TRIES: u32 = 9;

/// Documents by where they stand.
type Documents = BTreeMap<EntryPath, Vec<u8>>;

/// What the provider handed over, and what it is added to.
#[derive(Clone, Debug)]
pub struct History {
    told: ProviderHistory,
    folder: String,
    /// What came of the folder; nothing when that was too much.
    came: Option<Documents>,
    /// The domains that came.
    domains: Option<Vec<u8>>,
}

impl History {
    /// What was handed over, to stand in `folder`, where `came` stands already.
    #[must_use]
    pub fn new(told: ProviderHistory, folder: String, came: Option<Documents>) -> Self {
        Self { told, folder, came, domains: None }
    }

    /// Says which domains came with an import.
    #[must_use]
    pub fn with_domains(self, domains: Option<Vec<u8>>) -> Self {
        Self { domains, ..self }
    }

    /// The domains that the provider knows.
    pub(super) fn domains(&self) -> &DomainsHanded {
        &self.told.domains
    }

    /// The document with those that came.
    pub(super) fn domains_came(&self) -> Option<&[u8]> {
        self.domains.as_deref()
    }
}

/// The folder of the provider whose console has this origin.
#[must_use]
pub fn folder(origin: &str) -> String {
    history::folder(origin).unwrap_or_else(|| "provider".to_owned())
}

/// The carried documents of a provider's folder that can be added to: where each stands, its digest and its length.
pub fn carried(db: &Connection, folder: &str) -> Result<Vec<(EntryPath, Digest, u64)>, Error> {
    let mut query = db.prepare("select path, digest, size from carried order by path")?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (path, digest): (String, String) = (row.get(0)?, row.get(1)?);
        let path = render::path(&path)?;
        let is_ours = match Kind::of(&path) {
            Kind::Provider(of, part) => of == folder && !matches!(part, ProviderPart::Invoice | ProviderPart::Other),
            _ => false,
        };
        if is_ours {
            let digest = digest.parse().map_err(|_| Error::Bug(format!("{digest:?} is no digest")))?;
            found.push((path, digest, row.get::<_, i64>(2)?.unsigned_abs()));
        }
    }
    Ok(found)
}

/// The carried document with domains: its digest and its length.
pub fn carried_domains(db: &Connection) -> Result<Option<(Digest, u64)>, Error> {
    let mut query = db.prepare("select digest, size from carried where path = ?1")?;
    let mut rows = query.query([domains::PATH])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let digest: String = row.get(0)?;
    let digest = digest.parse().map_err(|_| Error::Bug(format!("{digest:?} is no digest")))?;
    Ok(Some((digest, row.get::<_, i64>(1)?.unsigned_abs())))
}

/// Adds the history to a payload that has everything else.
pub(super) fn add(history: &History, sink: &mut dyn Sink, payload: &mut Payload) -> Result<(), Error> {
    payload.omitted.extend(history.told.omitted.iter().cloned());
    let none = Documents::new();
    let first = if history.came.is_some() { 1 } else { 2 };
    for n in first..=TRIES {
        let (folder, came) = match n {
            1 => (history.folder.clone(), history.came.as_ref().unwrap_or(&none)),
            _ => (format!("{}-{n}", history.folder), &none),
        };
        let folder = Folder::render(&format!("{ROOT}/{folder}"), &history.told, came, payload)?;
        if folder.fits(payload) {
            return folder.put(sink, payload);
        }
    }
    let why = "what came with an import leaves no name for it; the console of the provider shows it";
    payload.omitted.push(Omission { what: "the history at this provider".into(), why: why.into() });
    Ok(())
}

/// A provider's folder, rendered.
struct Folder {
    documents: Documents,
    /// Carried entries whose place it takes.
    replaced: BTreeSet<EntryPath>,
}

impl Folder {
    fn render(root: &str, told: &ProviderHistory, came: &Documents, payload: &Payload) -> Result<Self, Error> {
        let mut folder = Self { documents: Documents::new(), replaced: came.keys().cloned().collect() };
        let kept = |wanted: ProviderPart| rows_of(came, wanted);
        folder.documents.insert(render::path(&format!("{root}/provider.json"))?, provider(told, root, came)?);
        let invoices = folder.bills(root, &told.invoices, &kept(ProviderPart::Invoices), payload)?;
        let usage = merged(&kept(ProviderPart::Usage), &told.usage, "date", "date")?;
        let log = merged(&kept(ProviderPart::Log), &told.log, "id", "at")?;
        for (name, lines) in [("invoices", invoices), ("usage", usage), ("log", log)] {
            for (index, part) in pieces(lines).into_iter().enumerate() {
                folder.documents.insert(render::path(&format!("{root}/{}", segment(name, index)))?, part);
            }
        }
        Ok(folder)
    }

    /// The rows of the bills; their readable texts become documents beside them.
    fn bills(
        &mut self,
        root: &str,
        bills: &[Bill],
        came: &[Cow<'_, str>],
        payload: &Payload,
    ) -> Result<Vec<u8>, Error> {
        let known: BTreeMap<String, EntryPath> = came.iter().filter_map(|line| text_of(root, line)).collect();
        let mut namer = Namer::new(&format!("{root}/invoices")).map_err(|why| Error::Bug(why.to_string()))?;
        let beneath = format!("{root}/invoices/");
        for path in payload.entries.keys() {
            if let Some(name) = path.as_str().strip_prefix(&beneath) {
                namer.place(name);
            }
        }
        let mut ours = Vec::new();
        for Bill { invoice, text } in bills {
            let path = match known.get(&invoice.id) {
                Some(path) => {
                    self.replaced.insert(path.clone());
                    path.clone()
                }
                None => namer.place(&format!("{}.txt", invoice.number.as_deref().unwrap_or(&invoice.id))),
            };
            let within = path.as_str().get(root.len() + 1..).map(str::to_owned);
            ours.push(history::Invoice { text: within, ..invoice.clone() });
            self.documents.insert(path, text.clone().into_bytes());
        }
        merged(came, &ours, "id", "issued")
    }

    /// Whether all of its names are free.
    fn fits(&self, payload: &Payload) -> bool {
        let mut taken = Taken::default();
        let near = |path: &&EntryPath| path.folded().starts_with(ROOT) && !self.replaced.contains(*path);
        let stays = payload.entries.keys().filter(near);
        stays.chain(self.documents.keys()).all(|path| taken.take(path).is_ok())
    }

    fn put(self, sink: &mut dyn Sink, payload: &mut Payload) -> Result<(), Error> {
        for path in &self.replaced {
            payload.entries.remove(path);
        }
        for (path, content) in self.documents {
            payload.add(path, sink.keep(&content)?)?;
        }
        Ok(())
    }
}

/// Who the provider is. What came and we do not say is kept; the server lived here since the earlier of both.
fn provider(told: &ProviderHistory, root: &str, came: &Documents) -> Result<Vec<u8>, Error> {
    let Ok(Value::Object(mut ours)) = serde_json::to_value(&told.provider) else {
        return Err(Error::Bug("a provider is an object".into()));
    };
    let there = came.iter().find(|(path, _)| path.as_str() == format!("{root}/provider.json"));
    let there: Map<String, Value> = there.and_then(|(_, text)| serde_json::from_slice(text).ok()).unwrap_or_default();
    let since = |members: &Map<String, Value>| members.get("from")?.as_str()?.parse::<Timestamp>().ok();
    if let (Some(theirs), Some(from)) = (since(&there), there.get("from"))
        && since(&ours).is_none_or(|ours| theirs < ours)
    {
        ours.insert("from".into(), from.clone());
    }
    for (name, value) in there.into_iter().filter(|(name, _)| name != "until") {
        ours.entry(name).or_insert(value);
    }
    Ok(render::pretty(&Value::Object(ours)))
}

/// The rows that came of one part, as they stand in the documents.
fn rows_of(came: &Documents, wanted: ProviderPart) -> Vec<Cow<'_, str>> {
    let of_part = |path: &EntryPath| matches!(Kind::of(path), Kind::Provider(_, part) if part == wanted);
    let texts = came.iter().filter(|(path, _)| of_part(path)).map(|(_, text)| text);
    let lines =
        texts.flat_map(|text| text.split(|byte| *byte == b'\n')).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).map(String::from_utf8_lossy).collect()
}

/// The bill of a row that came, and where its text stands.
fn text_of(root: &str, line: &str) -> Option<(String, EntryPath)> {
    let row: Value = serde_json::from_str(line).ok()?;
    let path: EntryPath = format!("{root}/{}", row.get("text")?.as_str()?).parse().ok()?;
    let is_text =
        matches!(Kind::of(&path), Kind::Provider(_, ProviderPart::Invoice)) && path.as_str().ends_with(".txt");
    is_text.then_some((row.get("id")?.as_str()?.to_owned(), path))
}

/// The rows that came and ours, each `key` once, in the order of their moments and keys. One row after the other is looked into,
/// and kept as its text.
fn merged(came: &[Cow<'_, str>], ours: &[impl Serialize], key: &str, at: &str) -> Result<Vec<u8>, Error> {
    let mut rows: BTreeMap<String, (Option<Timestamp>, Cow<'_, str>)> = BTreeMap::new();
    let ours = ours.iter().map(|row| -> Result<Cow<'_, str>, Error> {
        let text = serde_json::to_string(row).map_err(|why| Error::Bug(why.to_string()))?;
        let row = Row::from_stored(&text).map_err(|why| Error::Bug(format!("a row of the history: {why}")))?;
        Ok(Cow::Owned(row.to_row()))
    });
    for line in came.iter().map(|line| Ok(Cow::Borrowed(line.as_ref()))).chain(ours) {
        let line = line?;
        let row: Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let moment = text(at).and_then(|at| at.parse().or_else(|_| format!("{at}T00:00:00Z").parse()).ok());
        let known_by = text(key).map_or_else(|| line.clone().into_owned(), str::to_owned);
        rows.insert(known_by, (moment, line));
    }
    let mut rows: Vec<_> = rows.into_iter().map(|(key, (at, line))| (at, key, line)).collect();
    rows.sort();
    let mut all = Vec::with_capacity(rows.iter().map(|(.., line)| line.len() + 1).sum());
    for (.., line) in rows {
        all.extend_from_slice(line.as_bytes());
        all.push(b'\n');
    }
    Ok(all)
}

/// Cuts lines into pieces that are no longer than a document of rows may be; none for no lines.
fn pieces(mut lines: Vec<u8>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while lines.len() > LONGEST {
        let end = lines[..LONGEST].iter().rposition(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1);
        let rest = lines.split_off(end);
        all.push(std::mem::replace(&mut lines, rest));
    }
    if !lines.is_empty() {
        all.push(lines);
    }
    all
}
