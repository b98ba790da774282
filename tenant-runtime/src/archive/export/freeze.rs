//! Writing out the records of one snapshot, deflated, into one work file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use export_format::Digest;
use export_format::digest::Summary;
use export_format::packed::{Packer, Stored};
use futures::TryStreamExt as _;

use rusqlite::Connection;

use super::former::{self, Known};
use super::request::Request;
use super::{frozen, request};
use crate::admin::api::{Omission, ProviderHistory};
use crate::archive::error::Error;
use crate::archive::identity;
use crate::archive::payload::history::{self, History};
use crate::archive::payload::{self, About, Entry, Former, Payload, Segment, Sink, Source};
use crate::archive::running::Progress;
use crate::documents::TableName;
use crate::documents::noting::{self, Noting};
use crate::store::{Home, Snapshot};

/// What an archive lacks that no provider handed anything over for.
const NOT_HANDED: &str = "the history at this provider";

/// The name under which an export's moment is pinned.
#[must_use]
pub(super) fn snapshot_name(id: &str) -> String {
    format!("export-{id}")
}

/// Pins the moment, unless it is pinned already, and writes out its records. Can be run twice.
///
/// Where writes are to be held they are before the moment, and `holds` is called; whatever an export writes itself has been
/// written by then, and as long as nobody writes the records are read where they lie. What has not changed since the export it builds on is taken from there (`former`), so that it takes as long
/// as there are changes; where that cannot be done everything is rendered.
pub(super) async fn freeze(
    home: &Home,
    folder: &Path,
    id: &str,
    progress: Arc<Progress>,
    holds: impl Fn(),
) -> Result<(), Error> {
    let name = snapshot_name(id);
    let request = request::read(folder)?.ok_or(Error::Missing("export"))?;
    let base = request.base.as_ref().map(|base| folder.with_file_name(&base.id));
    let pinned = home.snapshots().await?.into_iter().find(|snapshot| snapshot.name == name);
    let (info, hold) = match pinned {
        Some(info) => (info, None),
        None => {
            if base.is_some() || request.followed {
                note_changes(home, base.as_deref()).await?;
            }
            if let Some(hold_ms) = request.hold_ms {
                home.hold(Duration::from_millis(hold_ms)).await?;
                holds();
            }
            let hold = home.held_since();
            (home.snapshot(&name).await?, hold)
        }
    };
    let freezing = Freezing { home, folder, id, request, base: base.as_deref(), progress };
    if hold.is_some() {
        let written = freezing.of(&Moment::Live(home)).await;
        // Had the hold been over before, what was written then may be in it.
        if home.held_since() == hold {
            return frozen::write(folder, &written?, info.at_ms, info.seq);
        }
    }
    let written = freezing.of(&Moment::Pinned(home.open_snapshot(&name).await?)).await?;
    frozen::write(folder, &written, info.at_ms, info.seq)
}

/// Where the content of a moment is read.
enum Moment<'a> {
    /// Where it lies, while nobody may write there.
    Live(&'a Home),
    /// In a copy of its own.
    Pinned(Snapshot),
}

impl Moment<'_> {
    async fn read<T, F>(&self, f: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Live(home) => home.read(f).await,
            Self::Pinned(snapshot) => snapshot.read(f).await,
        }
    }
}

/// What is to be written out.
struct Freezing<'a> {
    home: &'a Home,
    folder: &'a Path,
    id: &'a str,
    request: Request,
    base: Option<&'a Path>,
    progress: Arc<Progress>,
}

impl Freezing<'_> {
    async fn of(&self, moment: &Moment<'_>) -> Result<Rendered, Error> {
        let Self { home, folder, id, request, base, progress } = self;
        let history = match request::history(folder)? {
            Some(told) => Some(Arc::new(gather(home, moment, &request.origin, told).await?)),
            None => None,
        };
        let sealed_keys = request::sealed_keys(folder)?;
        let (display_name, handle) = (request.display_name.clone(), request.label.clone());
        let about = About { display_name, handle, sealed_keys, history };
        if let Some(known) = base.and_then(|base| former::take(base, folder)) {
            match render(moment, folder, &about, Some(known), progress).await {
                Err(error) if !error.is_a_pause() && !error.may_pass() => {
                    let error = error.chain();
                    tracing::warn!(export.id = id, error, "an export is rendered as if there were none before it");
                }
                end => return end,
            }
        }
        render(moment, folder, &about, None, progress).await
    }
}

/// Has what changes from now on be noted, unless nothing does: not any more, or not while writes are held. A generation that
/// goes on for longer only notes more than has changed.
async fn note_changes(home: &Home, base: Option<&Path>) -> Result<(), Error> {
    if home.departed().is_some() || home.held_until().is_some() {
        return Ok(());
    }
    let needed = base.and_then(former::noting);
    home.write(move |db| Ok(noting::begin(db, needed.as_ref())?)).await
}

/// What came of rendering.
pub(super) struct Rendered {
    pub(super) payload: Payload,
    /// The seed of the server's key.
    pub(super) seed: [u8; 32],
    /// What an export that builds on this one has to know.
    pub(super) known: Known,
}

async fn render(
    moment: &Moment<'_>,
    folder: &Path,
    about: &About,
    former: Option<Known>,
    progress: &Arc<Progress>,
) -> Result<Rendered, Error> {
    let (folder, about, progress) = (folder.to_owned(), about.clone(), progress.clone());
    let without = about.history.is_none();
    let rendered = moment.read(move |db| {
        let noting = noting::of(db)?;
        let former = former.filter(|former| former.continues(noting.as_ref()));
        progress.expect(match &former {
            Some(former) => former.records(),
            None => payload::records(db)?,
        });
        let mut sink = Freezer::create(&folder, former, noting, progress)?;
        let mut payload = payload::derive(db, &about, &mut sink)?;
        if without {
            payload.omitted.push(Omission { what: NOT_HANDED.into(), why: "its provider did not hand it over".into() });
        }
        let known = sink.close()?;
        let identity = identity::read(db)?.ok_or_else(|| Error::Bug("the server has no key".into()))?;
        Ok::<_, Error>(Rendered { payload, seed: identity.key().to_bytes(), known })
    });
    rendered.await
}

/// What the provider handed over, with what came of its own folder, to which it is added.
async fn gather(home: &Home, moment: &Moment<'_>, origin: &str, told: ProviderHistory) -> Result<History, Error> {
    let folder = history::folder(origin);
    let named = folder.clone();
    let (carried, domains) =
        moment.read(move |db| Ok::<_, Error>((history::carried(db, &named)?, history::carried_domains(db)?))).await?;
    let domains = match domains {
        Some((digest, size)) => Some(read(home, digest, size).await?),
        None => None,
    };
    if carried.iter().map(|(.., size)| size).sum::<u64>() > history::MOST {
        return Ok(History::new(told, folder, None).with_domains(domains));
    }
    let mut came = BTreeMap::new();
    for (path, digest, size) in carried {
        came.insert(path, read(home, digest, size).await?);
    }
    Ok(History::new(told, folder, Some(came)).with_domains(domains))
}

async fn read(home: &Home, digest: Digest, size: u64) -> Result<Vec<u8>, Error> {
    let pieces: Vec<Bytes> = home.blobs().get(&digest, 0..size).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// Keeps rendered documents, one after the other, in one file.
struct Freezer {
    file: BufWriter<File>,
    at: u64,
    packer: Packer,
    progress: Arc<Progress>,
    former: Option<Known>,
    folder: PathBuf,
    known: Known,
}

impl Freezer {
    fn create(
        folder: &Path,
        former: Option<Known>,
        noting: Option<Noting>,
        progress: Arc<Progress>,
    ) -> Result<Self, Error> {
        let path = folder.join(frozen::documents(0));
        // Another export may still need what this one wrote there before.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file("removed")(error)),
            _ => {}
        }
        let file = File::create(&path).map_err(Error::file("made"))?;
        let known = Known::of(noting, former.as_ref());
        let (file, packer) = (BufWriter::new(file), Packer::new());
        Ok(Self { file, at: 0, packer, progress, former, folder: folder.to_owned(), known })
    }

    fn close(self) -> Result<Known, Error> {
        let file = self.file.into_inner().map_err(|error| Error::file("written")(error.into_error()))?;
        file.sync_all().map_err(Error::file("written"))?;
        Ok(self.known)
    }
}

impl Sink for Freezer {
    fn keep(&mut self, content: &[u8]) -> Result<Entry, Error> {
        let (summary, how, bytes) = match self.packer.pack(content) {
            Ok(packed) => packed,
            Err(_too_long) => (Summary::of(content), Stored::Whole, content),
        };
        self.file.write_all(bytes).map_err(Error::file("written"))?;
        let (at, stored) = (self.at, bytes.len() as u64);
        self.at += stored;
        Ok(Entry { summary, source: Source::Frozen { file: 0, at, stored, deflated: how != Stored::Whole } })
    }

    fn rendered(&mut self, records: u64) {
        self.progress.add(records);
    }

    fn former(&mut self, db: &Connection, table: &TableName) -> Result<Option<Former>, Error> {
        match &mut self.former {
            Some(former) => former.table(db, table),
            None => Ok(None),
        }
    }

    fn content(&mut self, segment: &Segment) -> Result<Vec<u8>, Error> {
        former::content(&self.folder, segment)
    }

    fn learn(&mut self, db: &Connection, table: &TableName, segments: Option<&[Segment]>) -> Result<(), Error> {
        self.known.learn(db, table, segments)
    }
}
