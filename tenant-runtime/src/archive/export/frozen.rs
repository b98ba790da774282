//! An archive whose every byte is known.

use std::fs::File;
use std::path::{Path, PathBuf};

use export_format::bag::names;
use export_format::cover::Cover;
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

use super::request::{self, Request};
use crate::admin::api::{self, ExportState, ExportView, Omission};
use crate::archive::error::Error;
use crate::archive::identity::Identity;
use crate::archive::payload::{Payload, Source};
use crate::archive::work;

/// The work file with the rendered documents.
pub(super) const DOCUMENTS: &str = "documents";
/// The work file that says where everything lies; it is written last.
const PLAN: &str = "plan.json";

/// Where the bytes of an entry are taken from.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// From among the server's files.
    Blob(Digest),
    /// From the work file of documents, beginning there.
    Documents(u64),
}

/// An archive, ready to be given in any pieces.
#[derive(Debug)]
pub struct Frozen {
    plan: Plan<From>,
    /// The envelope around it, when the whole archive is sealed.
    sealed: Option<Sealed>,
    counts: api::Counts,
    omitted: Vec<Omission>,
    /// SHA-256 of the payload manifest.
    payload: Digest,
    /// How many groups of writes the home had seen.
    seq: u64,
    documents: PathBuf,
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

pub(super) fn write(folder: &Path, payload: &Payload, at_ms: i64, seq: u64, seed: &[u8; 32]) -> Result<(), Error> {
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
                Source::Frozen { at, stored, deflated: true } => {
                    (Stored::Deflated { bytes: stored }, From::Documents(at))
                }
                Source::Frozen { at, deflated: false, .. } => (Stored::Whole, From::Documents(at)),
                Source::Measured => return Err(Error::Bug(format!("{path} was measured, not kept"))),
            };
            writer
                .add(Planned { path, summary, stored, source })
                .map_err(|why| Error::Refused(format!("the archive cannot be laid out: {why}")))?;
        }
        let sealed = writer
            .seal(&Signer::from_seed(&seed))
            .map_err(|why| Error::Bug(format!("the archive cannot be sealed: {why}")))?;
        let plan = sealed.into_plan();
        let payload = plan.tag_file(names::MANIFEST).map(|text| Digest::of(text));
        let payload = payload.ok_or_else(|| Error::Bug("an archive without a payload manifest".into()))?;
        let envelope = request::envelope(folder)?;
        if request.sealed && envelope.is_none() {
            return Err(Error::Bug("the envelope of a sealed export is gone".into()));
        }
        Ok(Self {
            counts: written.counts,
            omitted: written.omitted,
            payload,
            seq: written.seq,
            documents: folder.join(DOCUMENTS),
            sealed: envelope.map(|envelope| envelope.around(plan.len(), &plan.fingerprint())),
            plan,
        })
    }

    /// The envelope, when the whole archive is sealed.
    pub(super) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_ref()
    }

    /// The layout of the archive, within its envelope if it has one.
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

    /// The work file with the rendered documents.
    pub(super) fn documents(&self) -> Result<File, Error> {
        File::open(&self.documents).map_err(Error::file("opened"))
    }

    pub(super) fn describe(&self, view: &mut ExportView) {
        view.state = ExportState::Ready;
        view.bytes = Some(self.len());
        view.counts = Some(self.counts);
        view.omitted.clone_from(&self.omitted);
        view.payload = Some(self.payload.to_string());
        view.seq = Some(self.seq);
        view.done = self.counts.documents;
        view.total = self.counts.documents;
    }
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
