//! What a server's content looks like as the payload of an archive.
//!
//! The payload is a pure function of the database: the same content gives the same paths and the same bytes, whoever
//! hosts it. Export writes it out; import derives it again from what it staged and compares, so that both sides are
//! held to one description. Nothing in here names the provider, the address or the time of the export: those stand in
//! the bag's tag files. What the provider hands over of its own ([`history`]) is added for an export and absent where an
//! import is compared.
//!
//! Records and small documents go through a [`Sink`] while they are rendered, at most one segment at a time in memory.
//! Files are only named: their digests have been known since they were uploaded.

pub(crate) mod account;
pub(crate) mod apps;
pub(crate) mod by_itself;
pub mod coverage;
pub mod domains;
pub(crate) mod files;
pub mod history;
pub mod kept;
pub mod memory;
mod render;
mod segments;
pub(crate) mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use export_format::bag::names;
use export_format::digest::Summary;
use export_format::entry::{AppPart, Kind};
use export_format::{Digest, EntryPath};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::history::History;
use self::memory::Memory;
pub use self::segments::{Changed, Former, Run, Segment};
use super::error::Error;
use crate::admin::api::{Counts, Omission};
use crate::documents::TableName;
use crate::launch::Launch;

/// Under which name it is kept how many tables and records were carried.
pub(crate) const CARRIED: &str = "data/apps";
/// The most of another writer's `pcc.json` that is said again, in bytes.
const MOST_WORDS: usize = 256 << 10;

/// Where the bytes of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Among the server's files, by its digest.
    Blob,
    /// In a file of frozen documents.
    Frozen {
        /// Which of them: 0 for this export's own, the others are of those before it.
        #[serde(default)]
        file: u32,
        /// Where it begins.
        at: u64,
        /// Its length there.
        stored: u64,
        /// Whether it lies there deflated.
        deflated: bool,
    },
    /// Nowhere: it was only measured.
    Measured,
}

/// One entry of the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Size, digest and checksum of its content.
    pub summary: Summary,
    /// Where its bytes are.
    pub source: Source,
}

/// Takes rendered documents, one at a time.
pub trait Sink {
    /// Keeps `content` and says where.
    fn keep(&mut self, content: &[u8]) -> Result<Entry, Error>;
    /// Hears that so many more records are rendered.
    fn rendered(&mut self, records: u64);
    /// A table as it was rendered before, where it is known what has changed since.
    fn former(&mut self, _db: &Connection, _table: &TableName) -> Result<Option<Former>, Error> {
        Ok(None)
    }
    /// The content of a segment of such a one.
    fn content(&mut self, segment: &Segment) -> Result<Vec<u8>, Error> {
        Err(Error::Bug(format!("the segment up to {:?} was not kept", segment.last)))
    }
    /// Hears of the segments of a table; of none where they are not all of it.
    fn learn(&mut self, _db: &Connection, _table: &TableName, _segments: Option<&[Segment]>) -> Result<(), Error> {
        Ok(())
    }
    /// What was rendered before and has not changed since.
    fn memory(&mut self) -> Option<&mut Memory> {
        None
    }
}

/// A sink that only measures.
#[derive(Debug, Default)]
pub struct Measure;

impl Sink for Measure {
    fn keep(&mut self, content: &[u8]) -> Result<Entry, Error> {
        Ok(Entry { summary: Summary::of(content), source: Source::Measured })
    }

    fn rendered(&mut self, _records: u64) {}
}

/// What the payload needs to know beside the database.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The name the owner goes by.
    pub display_name: String,
    /// The label of the owner's address.
    pub handle: String,
    /// The server's secret keys, sealed for the owner, when a passphrase was given.
    pub sealed_keys: Option<Vec<u8>>,
    /// What the provider handed over of its own.
    pub history: Option<Arc<History>>,
}

impl About {
    /// What a launch says about the person.
    #[must_use]
    pub fn of(launch: &Launch) -> Self {
        let (display_name, handle) = (launch.owner.display_name.clone(), launch.site.name.clone());
        Self { display_name, handle, ..Self::default() }
    }
}

/// Everything beneath `data/`.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    /// The entries, by path.
    pub entries: BTreeMap<EntryPath, Entry>,
    /// How much that is.
    pub counts: Counts,
    /// What is not in it, and why.
    pub omitted: Vec<Omission>,
    /// The entries that are sealed.
    pub sealed: Vec<EntryPath>,
    /// The one of them that holds this server's own keys.
    pub sealed_own: Option<EntryPath>,
    /// What `pcc.json` says beside what we know of, since an archive that came said it.
    pub words: Map<String, Value>,
}

impl Payload {
    /// SHA-256 of the manifest that an archive with this payload has.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let lines = self.entries.iter().map(|(path, entry)| format!("{}  {path}\n", entry.summary.digest));
        Digest::of(lines.collect::<String>().as_bytes())
    }

    fn add(&mut self, path: EntryPath, entry: Entry) -> Result<(), Error> {
        match self.entries.insert(path.clone(), entry) {
            None => Ok(()),
            Some(_) => Err(Error::Bug(format!("{path} was rendered twice"))),
        }
    }
}

/// Renders the whole payload.
pub fn derive(db: &Connection, about: &About, sink: &mut dyn Sink) -> Result<Payload, Error> {
    let own = derive_own(db, about, sink)?;
    complete(db, about, sink, own)
}

/// The whole payload, from what this server itself would say.
pub fn complete(db: &Connection, about: &About, sink: &mut dyn Sink, own: Payload) -> Result<Payload, Error> {
    let mut payload = own;
    kept::apply(db, &mut payload)?;
    if let Some(history) = &about.history {
        history::add(history, sink, &mut payload)?;
        domains::add(history.domains(), history.domains_came(), sink, &mut payload)?;
    }
    count(db, &mut payload)?;
    payload.words = words(db, &mut payload)?;
    payload.counts.bytes = payload.entries.values().map(|entry| entry.summary.size).sum();
    let omitted = coverage::omissions(db, &payload)?;
    payload.omitted.extend(omitted);
    Ok(payload)
}

/// Counts what there is with what was carried; records and tables are counted already where they were rendered.
fn count(db: &Connection, payload: &mut Payload) -> Result<(), Error> {
    payload.counts.apps = apps::folders(payload);
    let is_file = |path: &&EntryPath| matches!(Kind::of(path), Kind::App(_, AppPart::File(_)));
    payload.counts.files = payload.entries.keys().filter(is_file).count() as u64;
    let carried = kept::members(db, CARRIED)?;
    let number = |name: &str| carried.get(name).and_then(Value::as_u64).unwrap_or(0);
    payload.counts.tables += number("tables");
    payload.counts.documents += number("documents");
    Ok(())
}

/// What `pcc.json` is to say of what came, unless it would leave no room for what has to be said there.
fn words(db: &Connection, payload: &mut Payload) -> Result<Map<String, Value>, Error> {
    let words = kept::members(db, names::PCC)?;
    if serde_json::to_string_pretty(&words).is_ok_and(|text| text.len() <= MOST_WORDS) {
        return Ok(words);
    }
    let why = "they are too long to stand beside what this server has to say there";
    payload.omitted.push(Omission { what: "members of pcc.json that came".into(), why: why.into() });
    Ok(Map::new())
}

/// Renders what this server itself would say, before anything kept from an import takes its place.
pub fn derive_own(db: &Connection, about: &About, sink: &mut dyn Sink) -> Result<Payload, Error> {
    let mut payload = Payload::default();
    account::render(db, about, sink, &mut payload)?;
    by_itself::render(db, sink, &mut payload)?;
    apps::render(db, sink, &mut payload)?;
    Ok(payload)
}

/// How many records there are, for progress.
pub fn records(db: &Connection) -> Result<u64, Error> {
    Ok(crate::documents::collections(db)?.iter().map(|collection| collection.count).sum())
}
