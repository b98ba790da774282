//! Writing out the records of one snapshot, deflated, into one work file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use export_format::digest::Summary;
use export_format::packed::{Packer, Stored};
use futures::TryStreamExt as _;

use super::{frozen, request};
use crate::admin::api::{Omission, ProviderHistory};
use crate::archive::error::Error;
use crate::archive::identity;
use crate::archive::payload::history::{self, History};
use crate::archive::payload::{self, About, Entry, Sink, Source};
use crate::archive::running::Progress;
use crate::store::{Home, Snapshot};

/// What an archive lacks that no provider handed anything over for.
const NOT_HANDED: &str = "the history at this provider";

/// The name under which an export's moment is pinned.
#[must_use]
pub(super) fn snapshot_name(id: &str) -> String {
    format!("export-{id}")
}

/// Pins the moment, unless it is pinned already, and writes out its records. Can be run twice.
pub(super) async fn freeze(home: &Home, folder: &Path, id: &str, progress: Arc<Progress>) -> Result<(), Error> {
    let name = snapshot_name(id);
    let pinned = home.snapshots().await?.into_iter().find(|snapshot| snapshot.name == name);
    let info = match pinned {
        Some(info) => info,
        None => home.snapshot(&name).await?,
    };
    let request = request::read(folder)?.ok_or(Error::Missing("export"))?;
    let documents = folder.join(frozen::DOCUMENTS);
    let snapshot = home.open_snapshot(&name).await?;
    let history = match request::history(folder)? {
        Some(told) => Some(Arc::new(gather(home, &snapshot, &request.origin, told).await?)),
        None => None,
    };
    let sealed_keys = request::sealed_keys(folder)?;
    let without = history.is_none();
    let about = About { display_name: request.display_name, handle: request.label, sealed_keys, history };
    let (payload, seed) = snapshot
        .read(move |db| {
            progress.expect(payload::records(db)?);
            let mut sink = Freezer::create(&documents, progress)?;
            let mut payload = payload::derive(db, &about, &mut sink)?;
            if without {
                payload
                    .omitted
                    .push(Omission { what: NOT_HANDED.into(), why: "its provider did not hand it over".into() });
            }
            sink.close()?;
            let identity = identity::read(db)?.ok_or_else(|| Error::Bug("the server has no key".into()))?;
            Ok::<_, Error>((payload, identity.key().to_bytes()))
        })
        .await?;
    frozen::write(folder, &payload, info.at_ms, info.seq, &seed)
}

/// What the provider handed over, with what came of its own folder, to which it is added.
async fn gather(home: &Home, snapshot: &Snapshot, origin: &str, told: ProviderHistory) -> Result<History, Error> {
    let folder = history::folder(origin);
    let named = folder.clone();
    let carried = snapshot.read(move |db| history::carried(db, &named)).await?;
    if carried.iter().map(|(.., size)| size).sum::<u64>() > history::MOST {
        return Ok(History::new(told, folder, None));
    }
    let mut came = BTreeMap::new();
    for (path, digest, size) in carried {
        let pieces: Vec<Bytes> = home.blobs().get(&digest, 0..size).await?.try_collect().await?;
        came.insert(path, pieces.concat());
    }
    Ok(History::new(told, folder, Some(came)))
}

/// Keeps rendered documents, one after the other, in one file.
struct Freezer {
    file: BufWriter<File>,
    at: u64,
    packer: Packer,
    progress: Arc<Progress>,
}

impl Freezer {
    fn create(path: &Path, progress: Arc<Progress>) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::file("made"))?;
        Ok(Self { file: BufWriter::new(file), at: 0, packer: Packer::new(), progress })
    }

    fn close(self) -> Result<(), Error> {
        let file = self.file.into_inner().map_err(|error| Error::file("written")(error.into_error()))?;
        file.sync_all().map_err(Error::file("written"))
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
        Ok(Entry { summary, source: Source::Frozen { at, stored, deflated: how != Stored::Whole } })
    }

    fn rendered(&mut self, records: u64) {
        self.progress.add(records);
    }
}
