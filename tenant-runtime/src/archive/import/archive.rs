//! An uploaded archive, read strictly: nothing of it is given out before all of it was checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use export_format::finding::{Refusal, Severity};
use export_format::manifest::Manifest;
use export_format::reader::{Limits, Reader, Unverified, Verified};
use export_format::sealed::{Bytes, Unlocked};
use export_format::signature::{Signer, Trust};
use export_format::{Digest, EntryPath};

use crate::admin::api::SignatureView;
use crate::archive::error::Error;
use crate::archive::identity::Identity;
use crate::archive::running::Progress;

/// An archive whose list of entries is sound.
pub(super) struct Archive {
    reader: Reader<Bytes<File>, Unverified>,
}

/// Size and digest of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

/// An archive all of whose content was compared with what is signed.
pub(crate) struct Checked {
    reader: Reader<Bytes<File>, Verified>,
    entries: BTreeMap<EntryPath, Listed>,
    signature: SignatureView,
}

impl Archive {
    /// Reads the list of entries, of a sealed archive with what unlocked it; what is wrong comes back in words.
    pub(super) fn open(path: &Path, unlocked: Option<&Unlocked>) -> Result<Self, Vec<String>> {
        let file = File::open(path).map_err(|error| vec![format!("the archive could not be opened: {error}")])?;
        let bytes = Bytes::new(file, unlocked).map_err(|why| vec![why.to_string()])?;
        let reader = Reader::open(bytes, &Limits::default()).map_err(|refusal| words(&refusal))?;
        Ok(Self { reader })
    }

    /// Reads and compares everything.
    pub(super) fn verify(self, own: Option<&Identity>, progress: &Progress) -> Result<Checked, Vec<String>> {
        let mut tell = |at: export_format::reader::Progress| {
            if at.done == 0 || progress.total() != at.total {
                progress.expect(at.total);
            }
            progress.set(at.done);
        };
        let reader = self.reader.verify(&Trust::Anyone, &mut tell).map_err(|refusal| words(&refusal))?;
        let payload = reader
            .entries()
            .iter()
            .filter_map(|entry| Some((entry.path().clone(), Listed { size: entry.size(), digest: entry.digest()? })));
        let entries = payload.filter(|(path, _)| path.is_payload()).collect();
        let is_own = own.is_some_and(|own| Signer::from_seed(&own.key().to_bytes()).public() == *reader.signed_by());
        let signature = SignatureView::Valid { fingerprint: reader.signed_by().fingerprint(), own: is_own };
        Ok(Checked { reader, entries, signature })
    }
}

impl Checked {
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

    /// The content of an entry, compared once more while it is read.
    pub(super) fn content(&self, path: &EntryPath) -> Result<impl Read + '_, Error> {
        let entry =
            self.reader.find(path.as_str()).ok_or_else(|| Error::Refused(format!("{path} is not in the archive")))?;
        self.reader.content(entry).map_err(Error::file("read"))
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
