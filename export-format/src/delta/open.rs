//! Reading a delta: everything about it that can be told without the base.

use std::collections::{BTreeMap, HashSet};

use super::apply::{self, Applied, Place};
use super::base::Holdings;
use super::{BaseName, Promise, fetch};
use crate::bag::{self, names};
use crate::digest::{Digest, Summary};
use crate::finding::{Code, Findings, Refusal};
use crate::head::{self, TagFiles};
use crate::layout::{self, Entry, Layout, Limits};
use crate::manifest::{self, Kind, Manifest};
use crate::packed::MAX_RATIO;
use crate::path::EntryPath;
use crate::reader::{self, Former, Progress, Reader, Unverified, Verified};
use crate::row::Value;
use crate::signature::{self, SigningKey, Trust};
use crate::source::{Sequential, Source};
use crate::unpack::read_local;

/// A delta that is sound by itself. Its content has not been compared with anything yet, and does not come out: only
/// [`Delta::apply`] leads on, to an archive that has to be verified.
#[derive(Debug)]
pub struct Delta<S> {
    source: S,
    said: Said,
}

impl<S: Source> Delta<S> {
    /// Reads the list of entries and the delta's own files.
    ///
    /// # Errors
    /// When anything in them is a reason to refuse it; the [`Refusal`] names all reasons.
    pub fn open(source: S, limits: &Limits) -> Result<Self, Refusal> {
        let mut findings = Findings::default();
        match examine(&source, limits, &mut findings) {
            Some(said) if findings.accepted() => Ok(Self { source, said }),
            _ => Err(Refusal { findings }),
        }
    }

    /// What `pcc.json` says: of the full archive, but for `kind` and `base`.
    pub fn manifest(&self) -> &Manifest {
        &self.said.manifest
    }

    /// The archive it builds on.
    pub fn base(&self) -> &BaseName {
        &self.said.base
    }

    /// What is to come of it.
    pub fn promise(&self) -> Promise {
        self.said.promise
    }

    /// By which key the delta itself is signed. What comes of it is signed by the full archive's key.
    pub fn signed_by(&self) -> &SigningKey {
        &self.said.signed_by
    }

    /// How many files of the payload it carries, and how many it takes from the base.
    pub fn files(&self) -> (usize, usize) {
        let taken = self.said.listed.iter().filter(|(_, _, taken)| taken.is_some()).count();
        (self.said.listed.len() - taken, taken)
    }

    /// The full archive that comes of this delta and the archive it builds on, which need not have been verified: all that
    /// is taken from it stands under the full archive's digests.
    ///
    /// # Errors
    /// When `base` is not the archive the delta builds on, lacks something, or what comes of it is not sound as far as that
    /// can be told before it is verified.
    pub fn apply<B: Source, State>(
        self,
        base: Reader<B, State>,
        limits: &Limits,
    ) -> Result<Reader<Applied<B, S>, Unverified>, Refusal> {
        let mut findings = Findings::default();
        let here = BaseName { archive_id: base.manifest().archive_id.clone(), manifest: base.payload_manifest() };
        if here != self.said.base {
            let why = if here.archive_id == self.said.base.archive_id {
                "it has the same archiveId and other content".to_owned()
            } else {
                format!("it builds on {}, this is {}", self.said.base.archive_id, here.archive_id)
            };
            findings.add(Code::WrongBase.found(why));
            return Err(Refusal { findings });
        }
        let (base, held) = base.into_parts();
        match (base.len(), self.source.len()) {
            (Ok(base), Ok(delta))
                if self.said.promise.bytes <= base.saturating_add(delta).saturating_mul(MAX_RATIO) => {}
            // A file of the base may be taken for many paths, which is how a few bytes would grow without end.
            (Ok(_), Ok(_)) => findings.add(Code::Ratio.found("the archive that comes of the delta")),
            (Err(why), _) | (_, Err(why)) => findings.add(Code::Read.found(why)),
        }
        let held = Holdings::of(&held);
        let carried: BTreeMap<&EntryPath, &Entry> =
            self.said.entries.iter().map(|entry| (&entry.path, entry)).collect();
        let mut files = Vec::with_capacity(self.said.listed.len());
        for (path, digest, taken) in &self.said.listed {
            let Some(size) = *taken else {
                // That it is there was seen when the delta was opened.
                if let Some(entry) = carried.get(path) {
                    let summary = Summary { size: entry.size, digest: *digest, crc32: entry.crc32 };
                    files.push((path.clone(), summary, entry.stored, Place::Delta(entry.content_offset())));
                }
                continue;
            };
            let form = held.find(path, digest).and_then(|held| held.form);
            match form {
                None => findings.add(Code::Lacking.at(path, "")),
                Some(form) if form.size != size => findings
                    .add(Code::Lacking.at(path, format_args!("it should have {size} bytes and has {}", form.size))),
                Some(form) => {
                    let summary = Summary { size, digest: *digest, crc32: form.crc32 };
                    files.push((path.clone(), summary, form.stored, Place::Base(form.at)));
                }
            }
        }
        if !findings.accepted() {
            return Err(Refusal { findings });
        }
        let applied = apply::put_together(base, self.source, self.said.tags, files, self.said.promise, &mut findings);
        match applied {
            Some(applied) if findings.accepted() => Reader::open(applied, limits),
            _ => Err(Refusal { findings }),
        }
    }
}

impl<S: Source> Delta<S> {
    /// The same for an archive that is verified, and so is what comes of it: of the payload only what the delta carries is
    /// read, and the few documents on which others depend. It takes and refuses what [`Reader::verify`] would of the whole.
    ///
    /// # Errors
    /// As those of [`Delta::apply`] and of [`Reader::verify`].
    pub fn apply_verified<B: Source>(
        self,
        base: Reader<B, Verified>,
        limits: &Limits,
        trust: &Trust,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Reader<Applied<B, S>, Verified>, Refusal> {
        let former = Former::of(&base);
        let listed = self.said.listed.iter().filter(|(_, _, taken)| taken.is_none());
        let carried: HashSet<EntryPath> = listed.map(|(path, _, _)| path.clone()).collect();
        self.apply(base, limits)?.verify_since(&former, &carried, trust, progress)
    }
}

/// All that a delta says, once it is known to be readable.
#[derive(Debug)]
struct Said {
    /// The bag's own files and what is carried, in their order.
    entries: Vec<Entry>,
    tags: TagFiles,
    manifest: Manifest,
    base: BaseName,
    promise: Promise,
    signed_by: SigningKey,
    /// The payload of the full archive: each file's digest, and how long it is if it is taken from the base.
    listed: Vec<(EntryPath, Digest, Option<u64>)>,
}

fn examine(source: &impl Source, limits: &Limits, findings: &mut Findings) -> Option<Said> {
    let layout = layout::read(source, limits, findings);
    layout::check_order(&layout.entries, &names::DELTA_FILES, findings);
    if layout.entries.is_empty() {
        return None;
    }
    for name in names::DELTA_FILES {
        if !layout.entries.iter().any(|entry| entry.path.as_str() == name) {
            findings.add(Code::TagMissing.at(name, ""));
        }
    }
    // How long the lists may be follows from the number of entries of the full archive, which stands in pcc.json.
    let text = reader::read_tags(source, &layout, &[names::PCC], limit(0), findings).remove(names::PCC)?;
    let manifest = head::read_pcc(&text, findings)?;
    if manifest.kind == Kind::Full {
        findings.add(Code::NoDelta.at(names::PCC, ""));
        return None;
    }
    let pcc = head::json(&text).ok()?;
    let base = pcc.get("base").and_then(BaseName::from_value);
    let promise = manifest.other.get("full").and_then(Promise::from_json);
    let (Some(base), Some(promise)) = (base, promise) else {
        findings.add(Code::DeltaPcc.at(names::PCC, "its base or full is missing or not of the right form"));
        return None;
    };
    if promise.entries > limits.entries {
        let why = format_args!("{} entries come of it; {} are allowed", promise.entries, limits.entries);
        findings.add(Code::TooMany.found(why));
        return None;
    }
    let others: Vec<&str> = names::DELTA_FILES.into_iter().filter(|name| *name != names::PCC).collect();
    let mut tags = reader::read_tags(source, &layout, &others, limit(promise.entries), findings);
    tags.insert(names::PCC, text);
    examine_headers(source, &layout, findings);
    let signed_by = examine_signature(&tags, findings);
    if let Some(full) = tags.get(names::FULL_PCC) {
        compare_pcc(pcc, full, findings);
    }
    let listed = examine_lists(&tags, &layout.entries, &base, findings);
    Some(Said { entries: layout.entries, tags, manifest, base, promise, signed_by: signed_by?, listed })
}

/// How long each of a delta's own files may be, if so many entries come of it.
fn limit(entries: u64) -> impl Fn(&str) -> u64 {
    move |name| match name {
        names::FULL_PCC => manifest::MAX_BYTES,
        names::FETCH => entries.saturating_mul(fetch::MAX_LINE),
        names::FULL_START_HERE => head::tag_file_limit(names::START_HERE, entries),
        _ => head::tag_file_limit(name, entries),
    }
}

/// What is carried has the headers its records demand, so that whoever reads the delta from front to back sees the same.
/// (Those of the base's payload were judged when that archive was; they are not looked at again.)
fn examine_headers(source: &impl Source, layout: &Layout, findings: &mut Findings) {
    let Some(first) = layout.entries.iter().find(|entry| entry.path.is_payload()) else { return };
    let mut input = Sequential::new(source, first.offset, layout.central_offset);
    for entry in layout.entries.iter().filter(|entry| entry.path.is_payload()) {
        if entry.header().end() > layout.central_offset {
            return findings.add(Code::Gap.at(&entry.path, "it reaches into the list of entries"));
        }
        input.seek(entry.offset);
        if let Err(why) = read_local(&mut input, entry, findings) {
            return findings.add(Code::Read.at(&entry.path, why));
        }
    }
}

fn examine_signature(tags: &TagFiles, findings: &mut Findings) -> Option<SigningKey> {
    let text = tags.get(names::TAG_MANIFEST)?;
    head::examine_tag_manifest(text, tags, &names::DELTA_LISTED, findings);
    match signature::signed_by(tags.get(names::SIGNATURE)?, text) {
        Ok(key) => Some(key),
        Err(why) => {
            findings.add(Code::SignatureWrong.at(names::SIGNATURE, head::chain(&why)));
            None
        }
    }
}

/// A delta says of itself what the full archive says, but for what makes it a delta.
fn compare_pcc(own: Value, full: &[u8], findings: &mut Findings) {
    let full = match head::json(full) {
        Ok(full) => full,
        Err(why) => return findings.add(Code::Pcc.at(names::FULL_PCC, why)),
    };
    let rest = |value: Value| match value {
        Value::Object(mut members) => {
            for name in ["kind", "base", "full"] {
                members.remove(&name.into());
            }
            Some(members)
        }
        _ => None,
    };
    let (own, full) = (rest(own), rest(full));
    if own.is_none() || own != full {
        findings.add(Code::DeltaPcc.at(names::PCC, "it says something else than full/pcc.json"));
    }
}

/// Each file of the manifest is either carried or taken from the base, and nothing else is.
fn examine_lists(
    tags: &TagFiles,
    entries: &[Entry],
    base: &BaseName,
    findings: &mut Findings,
) -> Vec<(EntryPath, Digest, Option<u64>)> {
    let text = |name: &str| tags.get(name).map(Vec::as_slice).unwrap_or_default();
    let (manifest, bad) = bag::parse_manifest(text(names::MANIFEST));
    head::bad_lines(names::MANIFEST, &bad, findings);
    for pair in manifest.windows(2).filter(|pair| pair[0].0 >= pair[1].0) {
        findings.add(Code::ManifestOrder.at(&pair[1].0, ""));
    }
    let (lines, bad) = fetch::parse(text(names::FETCH));
    for bad in bad {
        findings.add(Code::FetchLine.at(names::FETCH, format_args!("line {}: {}", bad.line, bad.why)));
    }
    for pair in lines.windows(2).filter(|pair| pair[0].path >= pair[1].path) {
        findings.add(Code::FetchLine.at(&pair[1].path, "it is out of order, or stands twice"));
    }
    let mut taken = BTreeMap::new();
    for line in lines {
        if line.from != base.archive_id.as_bytes() {
            findings.add(Code::Elsewhere.at(&line.path, String::from_utf8_lossy(line.from)));
        }
        taken.insert(line.path, line.size);
    }
    let mut carried: BTreeMap<&EntryPath, ()> =
        entries.iter().filter(|entry| entry.path.is_payload()).map(|entry| (&entry.path, ())).collect();
    let mut listed = Vec::with_capacity(manifest.len());
    for (path, digest) in manifest {
        let (is_carried, is_taken) = (carried.remove(&path).is_some(), taken.remove(&path));
        match (is_carried, is_taken) {
            (true, Some(_)) => findings.add(Code::Twice.at(&path, "")),
            (false, None) => findings.add(Code::Missing.at(&path, "neither the delta nor its base is to have it")),
            _ => {}
        }
        listed.push((path, digest, is_taken));
    }
    for path in carried.keys().copied().chain(taken.keys()) {
        findings.add(Code::Unlisted.at(path, ""));
    }
    listed
}
