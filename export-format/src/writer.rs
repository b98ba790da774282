//! Writing an archive: list what goes in, seal, then stream any part of it.
//!
//! Nothing is spooled. While the writer is open it takes each entry's facts (path, size, digest, CRC), not its bytes;
//! sealing computes the bag's own files and signs them; the sealed writer's [`Plan`] is then a pure function of the
//! list. Its length is exact before the first byte is sent, and any byte range can be produced at any time, so a
//! download continues where it broke off.
//!
//! Where an entry's bytes come from is the caller's: each [`Payload`] carries a `source` of the caller's own type,
//! which the plan hands back together with the range it wants.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bag::{self, names};
use crate::cover::Cover;
use crate::digest::{Digest, Summary};
use crate::manifest::{Manifest, Secrets};
use crate::packed::{self, Stored};
use crate::path::{Collision, EntryPath, PathError, Taken};
use crate::payload::is_sealed;
use crate::plan::{Body, Plan, Planned};
use crate::reader::{Reader, Verified};
use crate::signature::{SignatureError, Signer};
use crate::source::Source;

/// One file beneath `data/`.
#[derive(Debug, Clone)]
pub struct Payload<S> {
    /// Its path, beginning with `data/`.
    pub path: EntryPath,
    /// Size, digest and CRC of its content.
    pub summary: Summary,
    /// How its bytes stand in the archive.
    pub stored: Stored,
    /// Where its stored bytes come from.
    pub source: S,
}

/// What stands at the head of an archive.
#[derive(Debug, Clone)]
pub struct Head {
    /// `pcc.json`; `counts.bytes` and the list of sealed files are filled in by [`Writer::seal`].
    pub manifest: Manifest,
    /// What the page for people shows beyond it.
    pub cover: Cover,
}

/// The state of a [`Writer`] that takes entries.
#[derive(Debug)]
pub struct Open<S> {
    payload: BTreeMap<EntryPath, Payload<S>>,
    taken: Taken,
}

/// The state of a [`Writer`] whose content is fixed and signed.
#[derive(Debug)]
pub struct Sealed<S> {
    plan: Plan<S>,
}

/// Writes one archive; `State` is [`Open`] or [`Sealed`].
///
/// ```
/// use export_format::manifest::{Manifest, Snapshot, Source, Subject};
/// use export_format::packed::Packed;
/// use export_format::plan::Piece;
/// use export_format::signature::Signer;
/// use export_format::writer::{Head, Payload, Writer};
///
/// let manifest = Manifest::full(
///     uuid::Uuid::nil(),
///     Subject::new("did:web:anna.example", "anna.example"),
///     Snapshot::point_in_time("2026-11-21T07:00:00Z".parse()?, 1),
///     Source::new("Example Servers", "https://console.example", "freehold/0.1"),
/// );
/// let mut writer = Writer::new(Head { manifest, cover: Default::default() });
/// let account = Packed::document(b"{\"schema\":\"pcc/account@1\"}\n")?;
/// writer.add(Payload {
///     path: "data/account.json".parse()?,
///     summary: account.summary,
///     stored: account.stored,
///     source: account.bytes,
/// })?;
/// let sealed = writer.seal(&Signer::from_seed(&[7; 32]))?;
/// let mut archive = Vec::new();
/// for piece in sealed.plan().range(0..sealed.plan().len()) {
///     match piece {
///         Piece::Inline(bytes) => archive.extend_from_slice(&bytes),
///         Piece::Stored { source, range, .. } => archive.extend_from_slice(&source[range.start as usize..range.end as usize]),
///     }
/// }
/// assert_eq!(archive.len() as u64, sealed.plan().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<State> {
    head: Head,
    state: State,
}

/// Why an archive cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A path outside `data/`.
    #[error("{0} is not beneath data/")]
    NotPayload(EntryPath),
    /// Two files that are one on some system.
    #[error(transparent)]
    Collision(#[from] Collision),
    /// A name that cannot stand in an archive.
    #[error("a path cannot stand in an archive")]
    Path(#[from] PathError),
    /// Deflated against the rules of the profile.
    #[error("{0} must be stored plain: it is too long, or deflating it gains nothing or too much")]
    Deflated(EntryPath),
    /// The signing failed.
    #[error("the archive could not be signed")]
    Sign(#[from] SignatureError),
    /// `pcc.json` could not be written or is longer than a reader takes.
    #[error("pcc.json could not be written")]
    Manifest(#[source] Option<serde_json::Error>),
}

impl<S> Writer<Open<S>> {
    /// A writer with nothing in it yet.
    #[must_use]
    pub fn new(head: Head) -> Self {
        Self { head, state: Open { payload: BTreeMap::new(), taken: Taken::default() } }
    }

    /// Takes a file into the list. The order of calls does not matter.
    ///
    /// # Errors
    /// When the path is outside `data/` or collides with another, or the profile does not allow it deflated.
    pub fn add(&mut self, payload: Payload<S>) -> Result<(), WriteError> {
        if !payload.path.is_payload() {
            return Err(WriteError::NotPayload(payload.path));
        }
        if let Stored::Deflated { bytes } = payload.stored
            && !packed::is_worth_it(payload.summary.size, bytes)
        {
            return Err(WriteError::Deflated(payload.path));
        }
        self.state.taken.take(&payload.path)?;
        self.state.payload.insert(payload.path.clone(), payload);
        Ok(())
    }

    /// The manifest, to fill in what is known only when everything is listed.
    pub fn manifest_mut(&mut self) -> &mut Manifest {
        &mut self.head.manifest
    }

    /// What the page for people shows, likewise.
    pub fn cover_mut(&mut self) -> &mut Cover {
        &mut self.head.cover
    }

    /// Fixes the content, writes the bag's own files and signs them.
    ///
    /// # Errors
    /// When `pcc.json` cannot be written or the key cannot sign.
    pub fn seal(mut self, signer: &Signer) -> Result<Writer<Sealed<S>>, WriteError> {
        let payload = self.state.payload.into_values();
        let mut manifest_text = String::new();
        let mut bytes = 0;
        let mut files: Vec<Planned<S>> = Vec::with_capacity(payload.len());
        for Payload { path, summary, stored, source } in payload {
            manifest_text.push_str(&bag::manifest_line(&summary.digest, path.as_str()));
            bytes += summary.size;
            files.push(Planned { path, summary, stored, body: Body::Source(source) });
        }
        let head = &mut self.head;
        head.manifest.counts.bytes = bytes;
        list_sealed(&mut head.manifest, files.iter().map(|file| &file.path));
        let mut pcc = serde_json::to_string_pretty(&head.manifest).map_err(|err| WriteError::Manifest(Some(err)))?;
        pcc.push('\n');
        if pcc.len() as u64 > crate::manifest::MAX_BYTES {
            return Err(WriteError::Manifest(None));
        }
        let page = head.cover.page(&head.manifest, files.iter().map(|file| (&file.path, file.summary.size)));
        let mut texts = BTreeMap::from([
            (names::BAGIT, bag::DECLARATION.to_owned()),
            (names::BAG_INFO, bag::bag_info(&head.manifest, bytes, files.len() as u64)),
            (names::PCC, pcc),
            (names::PROFILE, bag::PROFILE.to_owned()),
            (names::START_HERE, page),
            (names::MANIFEST, manifest_text),
        ]);
        // A BTreeMap's order is that of the bytes, which is the order of the tag manifest.
        let tag_manifest: String =
            texts.iter().map(|(name, text)| bag::manifest_line(&Digest::of(text.as_bytes()), name)).collect();
        let signature = signer.sign(tag_manifest.as_bytes())?;
        texts.insert(names::TAG_MANIFEST, tag_manifest);
        texts.insert(names::SIGNATURE, signature);

        let mut entries = Vec::with_capacity(names::TAG_FILES.len() + files.len());
        for name in names::TAG_FILES {
            let bytes = Bytes::from(texts.remove(name).unwrap_or_default());
            entries.push(Planned {
                path: name.parse()?,
                summary: Summary::of(&bytes),
                stored: Stored::Whole,
                body: Body::Inline(bytes),
            });
        }
        entries.extend(files);
        Ok(Writer { head: self.head, state: Sealed { plan: Plan::new(entries) } })
    }
}

/// The same archive under another signature: all of it but `tagmanifest-sha256.txt.sig` stays byte for byte as it is.
///
/// Each entry's `source` in the plan is where its stored bytes begin in the archive that was read.
///
/// # Errors
/// When the archive cannot be read any more, or the key cannot sign.
pub fn sign_anew<S: Source>(archive: &Reader<S, Verified>, signer: &Signer) -> std::io::Result<Plan<u64>> {
    let tag_manifest = archive.find(names::TAG_MANIFEST).ok_or(std::io::ErrorKind::NotFound)?;
    let signature = signer.sign(&archive.document(tag_manifest)?).map_err(std::io::Error::other)?;
    plan_of(archive, Some(signature))
}

/// An archive just as it is. Each entry's `source` in the plan is where its stored bytes begin in the archive.
///
/// # Errors
/// When the archive cannot be read any more.
pub fn as_it_is<S: Source>(archive: &Reader<S, Verified>) -> std::io::Result<Plan<u64>> {
    plan_of(archive, None)
}

fn plan_of<S: Source>(archive: &Reader<S, Verified>, signature: Option<String>) -> std::io::Result<Plan<u64>> {
    let mut entries = Vec::with_capacity(archive.entries().len());
    for entry in archive.entries() {
        let path = entry.path().clone();
        let planned = if path.is_payload() {
            let digest = entry.digest().ok_or(std::io::ErrorKind::InvalidData)?;
            let summary = Summary { size: entry.size(), digest, crc32: entry.crc32() };
            Planned { path, summary, stored: entry.stored(), body: Body::Source(entry.content_offset()) }
        } else {
            let bytes = match &signature {
                Some(signature) if path.as_str() == names::SIGNATURE => Bytes::from(signature.clone()),
                _ => Bytes::from(archive.document(entry)?),
            };
            Planned { path, summary: Summary::of(&bytes), stored: Stored::Whole, body: Body::Inline(bytes) }
        };
        entries.push(planned);
    }
    Ok(Plan::new(entries))
}

/// Makes `pcc.json` list exactly the sealed files, whoever put them in.
fn list_sealed<'a>(manifest: &mut Manifest, paths: impl Iterator<Item = &'a EntryPath>) {
    let files: Vec<String> = paths.filter(|path| is_sealed(path)).map(EntryPath::to_string).collect();
    match &mut manifest.secrets {
        Some(secrets) => secrets.files = files,
        None if files.is_empty() => {}
        None => {
            manifest.secrets =
                Some(Secrets { scheme: "age".to_owned(), files, unlock: Vec::new(), other: serde_json::Map::new() });
        }
    }
}

impl<S> Writer<Sealed<S>> {
    /// The layout of the archive's bytes.
    #[must_use]
    pub fn plan(&self) -> &Plan<S> {
        &self.state.plan
    }

    /// `pcc.json` as it stands in the archive.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.head.manifest
    }

    /// The plan alone.
    #[must_use]
    pub fn into_plan(self) -> Plan<S> {
        self.state.plan
    }
}
