//! An uploaded archive, read strictly: nothing of it is given out before all of it was checked.
//!
//! An archive may also come of an earlier one and a delta. Where the earlier one is checked, only what the delta carries is
//! read; where nothing is any more, since the process is another, the whole chain is put together and its end checked to the
//! last byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use export_format::delta::Delta;
use export_format::finding::{Refusal, Severity};
use export_format::manifest::Manifest;
use export_format::reader::{Content, Limits, Reader, Unverified, Verified};
use export_format::sealed::{Bytes, Unlocked};
use export_format::signature::{Signer, SigningKey, Trust};
use export_format::source::Source;
use export_format::{Digest, EntryPath};

use crate::admin::api::SignatureView;
use crate::archive::error::Error;
use crate::archive::identity::Identity;
use crate::archive::running::Progress;

/// The bytes of an archive: of one file, or of several that make it up.
type Shared = Arc<dyn Source + Send + Sync>;

/// An archive whose list of entries is sound.
pub(super) struct Archive {
    reader: Reader<Shared, Unverified>,
}

/// Size and digest of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

/// An archive all of whose content was compared with what is signed.
pub(crate) struct Checked {
    reader: Reader<Shared, Verified>,
    entries: BTreeMap<EntryPath, Listed>,
    signature: SignatureView,
}

impl Archive {
    /// Reads the list of entries, of a sealed archive with what unlocked it; what is wrong comes back in words.
    pub(super) fn open(path: &Path, unlocked: Option<&Unlocked>) -> Result<Self, Vec<String>> {
        let file = File::open(path).map_err(|error| vec![format!("the archive could not be opened: {error}")])?;
        let bytes = Bytes::new(file, unlocked).map_err(|why| vec![why.to_string()])?;
        let reader = Reader::open(bytes, &Limits::default()).map_err(|refusal| words(&refusal))?;
        Ok(Self { reader: reader.shared() })
    }

    /// The archive that comes of this one and a chain of deltas.
    pub(super) fn followed_by(self, deltas: &[PathBuf]) -> Result<Self, Vec<String>> {
        let mut reader = self.reader;
        for path in deltas {
            let next = open_delta(path)?.apply(reader, &Limits::default());
            reader = next.map_err(|refusal| words(&refusal))?.shared();
        }
        Ok(Self { reader })
    }

    /// Reads and compares everything.
    pub(super) fn verify(self, own: Option<&Identity>, progress: &Progress) -> Result<Checked, Vec<String>> {
        let reader = self.reader.verify(&Trust::Anyone, &mut telling(progress)).map_err(|refusal| words(&refusal))?;
        Ok(Checked::new(reader, own))
    }
}

fn telling(progress: &Progress) -> impl FnMut(export_format::reader::Progress) + '_ {
    |at| {
        if at.done == 0 || progress.total() != at.total {
            progress.expect(at.total);
        }
        progress.set(at.done);
    }
}

fn open_delta(path: &Path) -> Result<Delta<Bytes<File>>, Vec<String>> {
    let file = File::open(path).map_err(|error| vec![format!("the delta could not be opened: {error}")])?;
    Delta::open(Bytes::Plain(file), &Limits::default()).map_err(|refusal| words(&refusal))
}

impl Checked {
    fn new(reader: Reader<Shared, Verified>, own: Option<&Identity>) -> Self {
        let payload = reader
            .entries()
            .iter()
            .filter_map(|entry| Some((entry.path().clone(), Listed { size: entry.size(), digest: entry.digest()? })));
        let entries = payload.filter(|(path, _)| path.is_payload()).collect();
        let is_own = own.is_some_and(|own| Signer::from_seed(&own.key().to_bytes()).public() == *reader.signed_by());
        let signature = SignatureView::Valid { fingerprint: reader.signed_by().fingerprint(), own: is_own };
        Self { reader, entries, signature }
    }

    /// The archive that comes of this one and a delta, signed with the same key; of the payload only what the delta carries
    /// is read.
    pub(super) fn followed_by(
        &self,
        delta: &Path,
        own: Option<&Identity>,
        progress: &Progress,
    ) -> Result<Self, Vec<String>> {
        let trust = Trust::Keys(vec![self.reader.signed_by().clone()]);
        let delta = open_delta(delta)?;
        let reader = delta.apply_verified(self.reader.clone(), &Limits::default(), &trust, &mut telling(progress));
        Ok(Self::new(reader.map_err(|refusal| words(&refusal))?.shared(), own))
    }

    /// Whose archive it is.
    pub(super) fn signed_by(&self) -> &SigningKey {
        self.reader.signed_by()
    }

    /// The digest of its payload manifest.
    pub(super) fn payload(&self) -> Digest {
        self.reader.payload_manifest()
    }

    /// The first and the last `_id` of a segment, where they are known without reading it.
    pub(super) fn ids(&self, segment: &EntryPath) -> Option<(&str, &str)> {
        self.reader.ids(self.reader.find(segment.as_str())?)
    }

    /// What the archive says about itself.
    pub(crate) fn manifest(&self) -> &Manifest {
        self.reader.manifest()
    }

    /// The payload, by path.
    pub(crate) fn entries(&self) -> &BTreeMap<EntryPath, Listed> {
        &self.entries
    }

    /// The length of an entry; 0 for none.
    pub(crate) fn size(&self, path: &EntryPath) -> u64 {
        self.entries.get(path).map_or(0, |entry| entry.size)
    }

    /// Who signed it.
    pub(crate) fn signature(&self) -> &SignatureView {
        &self.signature
    }

    /// A document, whole.
    pub(crate) fn document(&self, path: &EntryPath) -> Result<Vec<u8>, Error> {
        let entry =
            self.reader.find(path.as_str()).ok_or_else(|| Error::Refused(format!("{path} is not in the archive")))?;
        self.reader.document(entry).map_err(Error::file("read"))
    }

    /// The content of an entry. Whoever reads it has to compare it with what is listed.
    pub(super) fn content(&self, path: &EntryPath) -> Result<impl Read + '_, Error> {
        let entry =
            self.reader.find(path.as_str()).ok_or_else(|| Error::Refused(format!("{path} is not in the archive")))?;
        self.reader.content(entry).map(Content::not_compared).map_err(Error::file("read"))
    }
}

fn words(refusal: &Refusal) -> Vec<String> {
    let refusals = refusal.findings.list().iter().filter(|finding| finding.severity == Severity::Refusal);
    refusals
        .map(|finding| match &finding.path {
            Some(path) => format!("{path}: {}", finding.message),
            None => finding.message.clone(),
        })
        .collect()
}
