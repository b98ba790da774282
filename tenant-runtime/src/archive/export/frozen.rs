//! An archive whose every byte is known.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use export_format::bag::names;
use export_format::cover::Cover;
use export_format::delta::{self, Base};
use export_format::digest::Summary;
use export_format::manifest::{Counts, Manifest, Omitted, Secrets, Snapshot, Source as MadeBy, Subject};
use export_format::packed::Stored;
use export_format::plan::Plan;
use export_format::sealed::Sealed;
use export_format::signature::Signer;
use export_format::writer::{Head, Open, Payload as Planned, Writer};
use export_format::{Digest, EntryPath};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::former::Known;
use super::freeze::Rendered;
use super::request::{self, BaseExport, Request};
use crate::admin::api::{self, ExportState, ExportView, Omission};
use crate::archive::error::Error;
use crate::archive::identity::Identity;
use crate::archive::payload::Source;
use crate::archive::work;

/// The work file with the rendered documents; those after the first are of exports that this one builds on.
pub(super) fn documents(file: u32) -> String {
    match file {
        0 => "documents".into(),
        file => format!("documents-{file}"),
    }
}
/// The work file that says where everything lies; it is written last.
const PLAN: &str = "plan.json";

/// Where the bytes of an entry are taken from.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// From among the server's files.
    Blob(Digest),
    /// From a work file of documents, beginning there.
    Documents(u32, u64),
}

/// An archive, or a delta that leads to one, ready to be given in any pieces.
#[derive(Debug)]
pub struct Frozen {
    /// The layout of what is given.
    plan: Plan<From>,
    /// The envelope around it, when the whole archive is sealed.
    sealed: Option<Sealed>,
    counts: api::Counts,
    omitted: Vec<Omission>,
    /// The payload manifest of the whole archive.
    manifest: Bytes,
    /// How many groups of writes the home had seen.
    seq: u64,
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Written {
    at_ms: i64,
    seq: u64,
    key: String,
    counts: api::Counts,
    omitted: Vec<Omission>,
    sealed: Vec<String>,
    /// What `pcc.json` says besides, since an archive that came said it.
    #[serde(default)]
    words: Map<String, Value>,
    entries: Vec<Line>,
    /// What an export that builds on this one has to know.
    #[serde(default)]
    known: Known,
}

#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    summary: Summary,
    source: Source,
}

pub(super) fn is_written(folder: &Path) -> bool {
    folder.join(PLAN).is_file()
}

/// What is known of an export for those that build on it; none while it is not ready.
pub(super) fn known(folder: &Path) -> Result<Option<Known>, Error> {
    let written: Option<Written> = work::read_json(&folder.join(PLAN))?;
    Ok(written.map(|written| written.known))
}

pub(super) fn write(folder: &Path, rendered: &Rendered, at_ms: i64, seq: u64) -> Result<(), Error> {
    let Rendered { payload, seed, known } = rendered;
    let entries = payload.entries.iter();
    let written = Written {
        at_ms,
        seq,
        key: hex::encode(seed),
        counts: payload.counts,
        omitted: payload.omitted.clone(),
        sealed: payload.sealed.iter().map(ToString::to_string).collect(),
        words: payload.words.clone(),
        entries: entries
            .map(|(path, entry)| Line { path: path.to_string(), summary: entry.summary, source: entry.source })
            .collect(),
        known: known.clone(),
    };
    work::write_json(&folder.join(PLAN), &written)
}

impl Frozen {
    /// Lays out the archive from its work files.
    pub(super) fn open(folder: &Path, request: &Request) -> Result<Self, Error> {
        let written: Written = work::read_json(&folder.join(PLAN))?.ok_or(Error::Missing("export"))?;
        let seed = hex::decode(&written.key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let seed = seed.ok_or_else(|| Error::Bug("the work file of an export has no key".into()))?;
        let manifest = manifest(request, &written, &Identity::from_seed(&seed).did());
        let mut writer: Writer<Open<From>> = Writer::new(Head { manifest, cover: cover(request, &written) });
        for Line { path, summary, source } in written.entries {
            let path: EntryPath = path.parse().map_err(|_| Error::Bug(format!("{path:?} is no path")))?;
            let (stored, source) = match source {
                Source::Blob => (Stored::Whole, From::Blob(summary.digest)),
                Source::Frozen { file, at, stored, deflated: true } => {
                    (Stored::Deflated { bytes: stored }, From::Documents(file, at))
                }
                Source::Frozen { file, at, deflated: false, .. } => (Stored::Whole, From::Documents(file, at)),
                Source::Measured => return Err(Error::Bug(format!("{path} was measured, not kept"))),
            };
            writer
                .add(Planned { path, summary, stored, source })
                .map_err(|why| Error::Refused(format!("the archive cannot be laid out: {why}")))?;
        }
        let signer = Signer::from_seed(&seed);
        let sealed = writer.seal(&signer).map_err(|why| Error::Bug(format!("the archive cannot be sealed: {why}")))?;
        let plan = sealed.into_plan();
        let manifest = plan.tag_file(names::MANIFEST).cloned();
        let manifest = manifest.ok_or_else(|| Error::Bug("an archive without a payload manifest".into()))?;
        let plan = match &request.base {
            Some(base) => lead(plan, base, folder, &signer)?,
            None => plan,
        };
        let envelope = request::envelope(folder)?;
        if request.sealed && envelope.is_none() {
            return Err(Error::Bug("the envelope of a sealed export is gone".into()));
        }
        Ok(Self {
            counts: written.counts,
            omitted: written.omitted,
            manifest,
            seq: written.seq,
            folder: folder.to_owned(),
            sealed: envelope.map(|envelope| envelope.around(plan.len(), &plan.fingerprint())),
            plan,
        })
    }

    /// The envelope, when the whole archive is sealed.
    pub(super) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_ref()
    }

    /// The payload manifest of the whole archive, also of a delta's.
    pub(super) fn manifest(&self) -> &Bytes {
        &self.manifest
    }

    /// SHA-256 of that.
    #[must_use]
    pub fn payload(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// How many groups of writes the home had seen.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The layout of the archive or the delta, within its envelope if it has one.
    #[must_use]
    pub fn plan(&self) -> &Plan<From> {
        &self.plan
    }

    /// Exact length.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an archive is never empty")]
    pub fn len(&self) -> u64 {
        self.sealed.as_ref().map_or_else(|| self.plan.len(), Sealed::len)
    }

    /// The value of `ETag`: equal exactly for equal bytes.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.sealed.as_ref().map_or_else(|| self.plan.fingerprint(), Sealed::fingerprint))
    }

    /// A work file with rendered documents.
    pub(super) fn documents(&self, file: u32) -> Result<File, Error> {
        File::open(self.folder.join(documents(file))).map_err(Error::file("opened"))
    }

    pub(super) fn describe(&self, view: &mut ExportView) {
        view.state = ExportState::Ready;
        view.bytes = Some(self.len());
        view.counts = Some(self.counts);
        view.omitted.clone_from(&self.omitted);
        view.payload = Some(self.payload().to_string());
        view.seq = Some(self.seq);
        view.done = self.counts.documents;
        view.total = self.counts.documents;
    }
}

/// What leads to this archive from the base's.
fn lead(plan: Plan<From>, base: &BaseExport, folder: &Path, signer: &Signer) -> Result<Plan<From>, Error> {
    let manifest = request::base(folder)?.ok_or_else(|| Error::Bug("the base of a delta is gone".into()))?;
    Base::ours(&base.archive.urn().to_string(), &manifest)
        .and_then(|base| delta::of(plan, &base, signer))
        .map_err(|why| Error::Bug(format!("the delta cannot be laid out: {why}")))
}

fn manifest(request: &Request, written: &Written, did: &str) -> Manifest {
    let at = jiff::Timestamp::from_millisecond(written.at_ms).unwrap_or_default();
    let mut manifest = Manifest::full(
        request.archive,
        Subject::new(did, &request.domain),
        Snapshot::point_in_time(at, written.seq),
        MadeBy::new(&request.provider, &request.origin, concat!("freehold-runtime/", env!("CARGO_PKG_VERSION"))),
    );
    manifest.counts = Counts {
        apps: written.counts.apps,
        tables: written.counts.tables,
        documents: written.counts.documents,
        files: written.counts.files,
        ..Counts::default()
    };
    if !written.sealed.is_empty() {
        manifest.secrets = Some(Secrets {
            scheme: "age".into(),
            files: written.sealed.clone(),
            unlock: vec!["passphrase".into()],
            other: serde_json::Map::new(),
        });
    }
    let mut words = written.words.clone();
    if let Some(Value::Object(subject)) = words.remove("subject") {
        manifest.subject.other = subject;
    }
    manifest.other = words;
    manifest.omitted = written.omitted.iter().map(|omission| Omitted::new(&omission.what, &omission.why)).collect();
    manifest
}

fn cover(request: &Request, _written: &Written) -> Cover {
    Cover { owner: request.display_name.clone(), apps: std::collections::BTreeMap::new() }
}
