//! Reading an archive: nothing of it is given out before all of it was verified.
//!
//! [`Reader::open`] reads the list of entries and the bag's own files: structure, signature, version, room.
//! [`Reader::verify`] reads everything once, in bounded memory, and yields a [`Reader`] in the state [`Verified`]; only
//! that one hands out content. An import therefore cannot touch unverified content by mistake: it does not compile.
//!
//! What is handed out is compared with its digest once more while it is read, in case the file changed meanwhile.
//!
//! An archive that comes of a delta and of an archive that is verified need not be read whole to be verified itself
//! ([`Delta::apply_verified`](crate::delta::Delta::apply_verified)): a verified reader remembers what it has learned of the
//! documents that must fit others.

use std::collections::HashSet;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::bag::names;
use crate::digest::{Digest, Summary, Tally};
use crate::finding::{Code, Findings, Refusal};
use crate::head::{self, Head, TagFiles};
use crate::inflate::Inflater;
use crate::layout::{self, Layout};
use crate::manifest::Manifest;
use crate::packed::{MAX_DOCUMENT, Stored};
use crate::path::EntryPath;
use crate::payload::{Again, Learned, Payload};
use crate::row::{RowError, Value};
use crate::signature::{SigningKey, Trust};
use crate::source::{Flow as _, Sequential, Source};
use crate::unpack::{Unpacker, read_local};

pub use crate::layout::{Entry, Limits};

/// How far a verification is, in bytes of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Read so far.
    pub done: u64,
    /// In all.
    pub total: u64,
}

/// The state of a [`Reader`] whose content was not read yet.
#[derive(Debug, Clone, Copy)]
pub enum Unverified {}

/// The state of a [`Reader`] all of whose content is as signed.
#[derive(Debug, Clone, Copy)]
pub enum Verified {}

/// Reads one archive; `State` is [`Unverified`] or [`Verified`].
///
/// ```no_run
/// use export_format::reader::{Limits, Reader};
/// use export_format::signature::Trust;
/// let file = std::fs::File::open("alice.example-2026-11-21.pcc.zip")?;
/// let reader = Reader::open(file, &Limits { bytes: 10_000_000_000, ..Limits::default() })?;
/// println!("{} of {}", reader.manifest().subject.domain, reader.manifest().snapshot.at);
/// let verified = reader.verify(&Trust::Anyone, &mut |progress| println!("{}/{}", progress.done, progress.total))?;
/// for entry in verified.entries() {
///     let content = verified.content(entry)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reader<S, State = Unverified> {
    source: S,
    entries: Vec<Entry>,
    manifest: Manifest,
    payload_manifest: Digest,
    signed_by: SigningKey,
    central_offset: u64,
    findings: Findings,
    /// Empty until it is verified.
    learned: Arc<Learned>,
    state: PhantomData<State>,
}

/// A verified archive, as far as another builds on it.
pub(crate) struct Former {
    /// The payload, sorted by path.
    files: Vec<(EntryPath, Digest)>,
    learned: Arc<Learned>,
    findings: Findings,
}

/// Everything that could be told about an archive without its payload, whether it is sound or not.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) layout: Layout,
    pub(crate) head: Head,
    /// The digest of `manifest-sha256.txt`.
    pub(crate) payload_manifest: Option<Digest>,
    pub(crate) findings: Findings,
}

pub(crate) fn open(source: &(impl Source + ?Sized), limits: &Limits) -> Opened {
    let mut findings = Findings::default();
    let mut layout = layout::read(source, limits, &mut findings);
    layout::check_order(&layout.entries, &names::TAG_FILES, &mut findings);
    let entries = layout.entries.len() as u64;
    let tags = read_tags(source, &layout, &names::TAG_FILES, |name| head::tag_file_limit(name, entries), &mut findings);
    // When there is no list of entries, every file would be missing; one finding says it better.
    if layout.entries.is_empty() {
        return Opened { layout, head: Head::default(), payload_manifest: None, findings };
    }
    let head = head::examine(&tags, &mut layout.entries, limits, &mut findings);
    let payload_manifest = tags.get(names::MANIFEST).map(|text| Digest::of(text));
    Opened { layout, head, payload_manifest, findings }
}

impl<S: Source> Reader<S, Unverified> {
    /// Reads the list of entries and the bag's own files.
    ///
    /// # Errors
    /// When anything in them is a reason to refuse the archive; the [`Refusal`] names all reasons.
    pub fn open(source: S, limits: &Limits) -> Result<Self, Refusal> {
        let Opened { layout, head, payload_manifest, mut findings } = open(&source, limits);
        match (head.manifest, head.signed_by, payload_manifest) {
            (Some(manifest), Some(signed_by), Some(payload_manifest)) if findings.accepted() => Ok(Self {
                source,
                entries: layout.entries,
                manifest,
                payload_manifest,
                signed_by,
                central_offset: layout.central_offset,
                findings,
                learned: Arc::default(),
                state: PhantomData,
            }),
            _ => {
                findings.judge_as_delta();
                Err(Refusal { findings })
            }
        }
    }

    /// Reads everything and compares it with what is signed, and who signed with who should have.
    ///
    /// # Errors
    /// When anything is not as it must be; the [`Refusal`] names all reasons.
    pub fn verify(mut self, trust: &Trust, progress: &mut dyn FnMut(Progress)) -> Result<Reader<S, Verified>, Refusal> {
        head::examine_trust(&self.signed_by, trust, &mut self.findings);
        if self.findings.accepted() {
            let mut payload = Payload::of(&self.entries).learning();
            read_payload(&self.source, &self.entries, self.central_offset, &mut payload, progress, &mut self.findings);
            self.learned = Arc::new(payload.take_learned());
            payload.finish(Some(&self.manifest), &mut self.findings);
        }
        if !self.findings.accepted() {
            return Err(Refusal { findings: self.findings });
        }
        Ok(self.into_state())
    }

    /// The same verdict for an archive whose payload comes from the verified archive `former` but for the entries that are
    /// `carried`. Read are these, what stands under another path as a document, and the few documents on which all depends.
    pub(crate) fn verify_since(
        mut self,
        former: &Former,
        carried: &HashSet<EntryPath>,
        trust: &Trust,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Reader<S, Verified>, Refusal> {
        head::examine_trust(&self.signed_by, trust, &mut self.findings);
        if self.findings.accepted() {
            let mut payload = Payload::of(&self.entries).learning();
            let changed = former.changed(&self.entries);
            let mut settled: HashSet<&str> = HashSet::new();
            let mut read = Vec::new();
            for entry in self.entries.iter().filter(|entry| entry.path.is_payload()) {
                let is_settled = !carried.contains(&entry.path)
                    && match (changed.contains(entry.path.as_str()), Payload::again(&entry.path)) {
                        (false, Again::Settled) => true,
                        (false, Again::Learned) => payload.recall(entry, &former.learned, &changed, &mut self.findings),
                        (false, Again::Read) => false,
                        // It stood elsewhere, and is as its digest says.
                        (true, _) => !Payload::wants_content(entry),
                    };
                let digest = entry.digest.filter(|_| is_settled);
                let Some(digest) = digest else {
                    read.push(entry);
                    continue;
                };
                settled.insert(entry.path.as_str());
                let summary = Summary { size: entry.size, digest, crc32: entry.crc32 };
                payload.file(entry, &summary, &mut self.findings);
            }
            for finding in former.findings.list() {
                if finding.path.as_deref().is_some_and(|path| settled.contains(path) && !changed.contains(path)) {
                    self.findings.add(finding.clone());
                }
            }
            read_entries(&self.source, &read, self.central_offset, &mut payload, progress, &mut self.findings);
            self.learned = Arc::new(payload.take_learned());
            payload.finish(Some(&self.manifest), &mut self.findings);
        }
        if !self.findings.accepted() {
            return Err(Refusal { findings: self.findings });
        }
        Ok(self.into_state())
    }
}

impl Former {
    pub(crate) fn of<S>(archive: &Reader<S, Verified>) -> Self {
        let payload = archive.entries.iter().filter(|entry| entry.path.is_payload());
        Self {
            files: payload.filter_map(|entry| Some((entry.path.clone(), entry.digest?))).collect(),
            learned: Arc::clone(&archive.learned),
            findings: archive.findings.clone(),
        }
    }

    /// The paths at which there is something else now: other content, or something where was nothing, or nothing any more.
    fn changed<'p>(&'p self, entries: &'p [Entry]) -> HashSet<&'p str> {
        let mut now = entries.iter().filter(|entry| entry.path.is_payload()).peekable();
        let mut was = self.files.iter().peekable();
        let mut changed = HashSet::new();
        loop {
            match (was.peek(), now.peek()) {
                (None, None) => return changed,
                (Some((path, digest)), Some(entry)) if *path == entry.path => {
                    if entry.digest != Some(*digest) {
                        changed.insert(path.as_str());
                    }
                    was.next();
                    now.next();
                }
                (Some((path, _)), Some(entry)) if *path < entry.path => {
                    changed.insert(path.as_str());
                    was.next();
                }
                (Some((path, _)), None) => {
                    changed.insert(path.as_str());
                    was.next();
                }
                (_, Some(entry)) => {
                    changed.insert(entry.path.as_str());
                    now.next();
                }
            }
        }
    }
}

impl<S, State> Reader<S, State> {
    fn into_state<Other>(self) -> Reader<S, Other> {
        self.map_source(|source| source)
    }

    /// The same archive, its bytes taken from what `change` makes of where they come from.
    fn map_source<T, Other>(self, change: impl FnOnce(S) -> T) -> Reader<T, Other> {
        let Self {
            source,
            entries,
            manifest,
            payload_manifest,
            signed_by,
            central_offset,
            findings,
            learned,
            state: _,
        } = self;
        let (source, state) = (change(source), PhantomData);
        Reader { source, entries, manifest, payload_manifest, signed_by, central_offset, findings, learned, state }
    }

    /// The same, whatever its bytes come from, to be read by several hands: cloning it copies its list of entries alone.
    pub fn shared(self) -> Reader<Arc<dyn Source + Send + Sync>, State>
    where
        S: Source + Send + Sync + 'static,
    {
        self.map_source(|source| -> Arc<dyn Source + Send + Sync> { Arc::new(source) })
    }

    /// The same, whatever its bytes come from: for chains of deltas, each of which wraps the one before.
    pub fn boxed(self) -> Reader<Box<dyn Source + Send + Sync>, State>
    where
        S: Source + Send + Sync + 'static,
    {
        self.map_source(|source| -> Box<dyn Source + Send + Sync> { Box::new(source) })
    }

    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Where its bytes come from, and its entries.
    pub(crate) fn into_parts(self) -> (S, Vec<Entry>) {
        (self.source, self.entries)
    }

    /// The digest of its payload manifest, by which a delta names the archive it builds on.
    pub fn payload_manifest(&self) -> Digest {
        self.payload_manifest
    }

    /// `pcc.json`. Before the archive is verified this is what it says of itself, signed by [`Reader::signed_by`].
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The entries in their order, the bag's own files among them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// By which key the archive is signed. That alone says nothing about whose key it is.
    pub fn signed_by(&self) -> &SigningKey {
        &self.signed_by
    }

    /// What was found so far, short of refusals.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The entry at this path.
    pub fn find(&self, path: &str) -> Option<&Entry> {
        // The bag's own files stand first in an order of their own; the payload is sorted.
        let own = self.entries.partition_point(|entry| !entry.path.is_payload());
        let (tags, payload) = self.entries.split_at(own);
        match payload.binary_search_by(|entry| entry.path.as_str().cmp(path)) {
            Ok(index) => Some(&payload[index]),
            Err(_) => tags.iter().find(|entry| entry.path.as_str() == path),
        }
    }
}

impl<S: Source> Reader<S, Verified> {
    /// The archive's bytes as they stand, to be copied; unlike [`Reader::content`] they are not compared again.
    pub fn bytes(&self) -> &S {
        &self.source
    }

    /// The first and the last `_id` of a table's segment, where that was learned.
    pub fn ids(&self, segment: &Entry) -> Option<(&str, &str)> {
        self.learned.ids(&segment.path)
    }

    /// An entry's content, unpacked; the end of it fails if it is not what was verified.
    ///
    /// # Errors
    /// When reading fails.
    pub fn content(&self, entry: &Entry) -> io::Result<Content<'_, S>> {
        let inner = match entry.stored {
            Stored::Whole => Inner::Whole {
                source: &self.source,
                at: entry.content_offset(),
                end: entry.content_offset() + entry.size,
                tally: Some(Tally::new()),
                crc32: entry.crc32,
                digest: entry.digest,
            },
            Stored::Deflated { bytes } => {
                let mut stored = vec![0; usize::try_from(bytes).map_err(|_| changed())?];
                self.source.read_exact_at(entry.content_offset(), &mut stored)?;
                let mut inflater = Inflater::new();
                let content = inflater
                    .inflate(&stored, usize::try_from(entry.size).map_err(|_| changed())?)
                    .ok_or_else(changed)?;
                let summary = Summary::of(content);
                if summary.crc32 != entry.crc32 || entry.digest.is_some_and(|digest| digest != summary.digest) {
                    return Err(changed());
                }
                Inner::Unpacked(io::Cursor::new(content.to_vec()))
            }
        };
        Ok(Content { inner })
    }

    /// A document's content whole.
    ///
    /// # Errors
    /// When reading fails or it is longer than a document may be.
    pub fn document(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let own = head::tag_file_limit(entry.path.as_str(), self.entries.len() as u64);
        if entry.size > (MAX_DOCUMENT as u64).max(if entry.path.is_payload() { 0 } else { own }) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "this is no document"));
        }
        let mut content = Vec::new();
        self.content(entry)?.read_to_end(&mut content)?;
        Ok(content)
    }

    /// The rows of a segment or another `.ndjson` document.
    ///
    /// # Errors
    /// When reading fails.
    pub fn rows(&self, entry: &Entry) -> io::Result<Rows> {
        Ok(Rows { content: self.document(entry)?, at: 0 })
    }
}

/// An entry's content; made by [`Reader::content`].
#[derive(Debug)]
pub struct Content<'r, S> {
    inner: Inner<'r, S>,
}

#[derive(Debug)]
enum Inner<'r, S> {
    Whole { source: &'r S, at: u64, end: u64, tally: Option<Tally>, crc32: u32, digest: Option<Digest> },
    Unpacked(io::Cursor<Vec<u8>>),
}

impl<S> Content<'_, S> {
    /// For those who take its digest themselves and compare that: nothing is compared here while it is read.
    #[must_use]
    pub fn not_compared(mut self) -> Self {
        if let Inner::Whole { tally, .. } = &mut self.inner {
            *tally = None;
        }
        self
    }
}

impl<S: Source> Read for Content<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Unpacked(cursor) => cursor.read(buffer),
            Inner::Whole { source, at, end, tally, crc32, digest } => {
                let room = buffer.len().min(usize::try_from(*end - *at).unwrap_or(usize::MAX));
                if room > 0 {
                    let count = source.read_at(*at, &mut buffer[..room])?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    *at += count as u64;
                    if let Some(tally) = tally {
                        tally.update(&buffer[..count]);
                    }
                    // The last bytes are given out only together with the verdict on all of them.
                    if *at < *end {
                        return Ok(count);
                    }
                    return verdict(tally.take(), *crc32, *digest).map(|()| count);
                }
                if *at == *end && !buffer.is_empty() {
                    verdict(tally.take(), *crc32, *digest)?;
                }
                Ok(0)
            }
        }
    }
}

fn verdict(tally: Option<Tally>, crc32: u32, digest: Option<Digest>) -> io::Result<()> {
    match tally.map(Tally::finish) {
        Some(summary) if summary.crc32 != crc32 || digest.is_some_and(|digest| digest != summary.digest) => {
            Err(changed())
        }
        _ => Ok(()),
    }
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the archive changed after it was verified")
}

/// The rows of a document; made by [`Reader::rows`].
#[derive(Debug)]
pub struct Rows {
    content: Vec<u8>,
    at: usize,
}

impl Iterator for Rows {
    type Item = Result<Value, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest: &[u8] = self.content.get(self.at..).filter(|rest: &&[u8]| !<[u8]>::is_empty(rest))?;
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or(rest);
        self.at += line.len() + 1;
        let not_utf8 = |err: std::str::Utf8Error| RowError::Syntax { at: err.valid_up_to(), why: "it is not UTF-8" };
        Some(std::str::from_utf8(line).map_err(not_utf8).and_then(Value::from_row))
    }
}

/// Reads those of the bag's own files that are `wanted`, with their headers; none longer than its limit.
pub(crate) fn read_tags(
    source: &(impl Source + ?Sized),
    layout: &Layout,
    wanted: &[&'static str],
    limit: impl Fn(&str) -> u64,
    findings: &mut Findings,
) -> TagFiles {
    let mut tags = TagFiles::new();
    for entry in layout.entries.iter().filter(|entry| !entry.path.is_payload()) {
        let Some(name) = wanted.iter().copied().find(|name| *name == entry.path.as_str()) else { continue };
        let limit = limit(name);
        if entry.stored != Stored::Whole {
            continue; // Said before, with the list of entries.
        }
        if entry.size > limit {
            findings.add(Code::TagTooLong.at(name, format_args!("{} bytes; {limit} are allowed", entry.size)));
            continue;
        }
        if entry.header().end() > layout.central_offset {
            findings.add(Code::Gap.at(name, "it reaches into the list of entries"));
            continue;
        }
        let mut input = Sequential::new(source, entry.offset, layout.central_offset);
        let mut content = Vec::new();
        let read = read_local(&mut input, entry, findings).and_then(|()| input.fill(&mut content, entry.size as usize));
        if let Err(err) = read {
            findings.add(Code::Read.at(name, err));
            continue;
        }
        if crc32fast::hash(&content) != entry.crc32 {
            findings.add(Code::Crc.at(name, ""));
        }
        tags.insert(name, content);
    }
    tags
}

/// Reads every payload entry once.
pub(crate) fn read_payload<S: Source + ?Sized>(
    source: &S,
    entries: &[Entry],
    central_offset: u64,
    payload: &mut Payload,
    progress: &mut dyn FnMut(Progress),
    findings: &mut Findings,
) {
    let all: Vec<&Entry> = entries.iter().filter(|entry| entry.path.is_payload()).collect();
    read_entries(source, &all, central_offset, payload, progress, findings);
}

fn read_entries<S: Source + ?Sized>(
    source: &S,
    entries: &[&Entry],
    central_offset: u64,
    payload: &mut Payload,
    progress: &mut dyn FnMut(Progress),
    findings: &mut Findings,
) {
    let Some(first) = entries.first() else { return };
    let mut input = Sequential::new(source, first.offset, central_offset);
    let mut unpacker = Unpacker::new();
    let mut told = 0;
    for entry in entries {
        if entry.header().end() > central_offset {
            findings.add(Code::Gap.at(&entry.path, "it reaches into the list of entries"));
            return;
        }
        input.seek(entry.offset);
        let mut tell = |done: u64, _: &[u8]| {
            // Small files come by the thousand; nobody needs to hear of each.
            if done - told >= 1 << 20 {
                told = done;
                progress(Progress { done, total: central_offset });
            }
            Ok(())
        };
        let read = read_local(&mut input, entry, findings)
            .and_then(|()| unpacker.read(&mut input, entry, payload, &mut tell, findings));
        match read {
            Err(err) => return findings.add(Code::Read.at(&entry.path, err)),
            Ok(Some(crc32)) if crc32 != entry.crc32 => findings.add(Code::Crc.at(&entry.path, "")),
            Ok(_) => {}
        }
    }
    progress(Progress { done: central_offset, total: central_offset });
}
