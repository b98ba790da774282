//! The bag's own files: what says what the archive is, and vouches for the rest.
//!
//! They are read before any payload, so that signature, version and room are checked in the first kilobytes. What they
//! say is compared with which files there are; the content of the files comes after ([`crate::payload`]).

use std::collections::BTreeMap;

use crate::bag::{self, BadLine, names};
use crate::digest::Digest;
use crate::finding::{Code, Findings};
use crate::layout::{Entry, Limits};
use crate::manifest::{self, FORMAT, Kind, Manifest, VERSION};
use crate::path::MAX_CHARS;
use crate::row;
use crate::shape;
use crate::signature::{self, SignatureError, SigningKey, Trust};

/// The bag's own files by name.
pub(crate) type TagFiles = BTreeMap<&'static str, Vec<u8>>;

/// What the bag's own files say.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) manifest: Option<Manifest>,
    pub(crate) signed_by: Option<SigningKey>,
}

/// How long one of the bag's own files may be in an archive of so many entries.
pub(crate) fn tag_file_limit(name: &str, entries: u64) -> u64 {
    match name {
        names::PCC => manifest::MAX_BYTES,
        names::START_HERE => 16 * 1024 * 1024,
        // A line is a digest, two spaces, a path of at most 180 characters of at most 4 bytes, and a line feed.
        names::MANIFEST => entries.saturating_mul(64 + 2 + 4 * MAX_CHARS as u64 + 1),
        _ => 64 * 1024,
    }
}

/// Reads the bag's own files and compares them with the entries, which learn their digests.
pub(crate) fn examine(tags: &TagFiles, entries: &mut [Entry], limits: &Limits, findings: &mut Findings) -> Head {
    let mut head = Head::default();
    for name in names::TAG_FILES {
        if !tags.contains_key(name) {
            findings.add(Code::TagMissing.at(name, ""));
        }
    }
    if let Some(text) = tags.get(names::BAGIT)
        && text != bag::DECLARATION.as_bytes()
    {
        findings.add(Code::Declaration.at(names::BAGIT, ""));
    }
    if let Some(text) = tags.get(names::PROFILE) {
        match json(text) {
            Ok(row::Value::Object(_)) => {}
            Ok(_) => findings.add(Code::Profile.at(names::PROFILE, "it is no object")),
            Err(err) => findings.add(Code::Profile.at(names::PROFILE, err)),
        }
    }
    if let Some(text) = tags.get(names::TAG_MANIFEST) {
        examine_tag_manifest(text, tags, &names::LISTED, findings);
        if let Some(signature) = tags.get(names::SIGNATURE) {
            match signature::signed_by(signature, text) {
                Ok(key) => head.signed_by = Some(key),
                Err(err) => findings.add(Code::SignatureWrong.at(names::SIGNATURE, chain(&err))),
            }
        }
    }
    let bytes =
        entries.iter().filter(|entry| entry.path.is_payload()).fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
    if bytes > limits.bytes {
        let (has, room) = (crate::cover::human(bytes), crate::cover::human(limits.bytes));
        findings.add(Code::Quota.found(format_args!("it holds {has}, there is room for {room}")));
    }
    if let Some(text) = tags.get(names::PCC) {
        head.manifest = examine_pcc(text, bytes, findings);
    }
    if let Some(text) = tags.get(names::BAG_INFO) {
        let files = entries.iter().filter(|entry| entry.path.is_payload()).count();
        examine_info(text, &format!("{bytes}.{files}"), head.manifest.as_ref(), findings);
    }
    if let Some(text) = tags.get(names::MANIFEST) {
        examine_manifest(text, entries, findings);
    }
    head
}

/// Compares who signed with who should have.
pub(crate) fn examine_trust(signed_by: &SigningKey, trust: &Trust, findings: &mut Findings) {
    match trust {
        Trust::Anyone => {
            findings.add(Code::SignatureUnchecked.found(format_args!("signed by {}", signed_by.fingerprint())))
        }
        Trust::Keys(keys) if keys.contains(signed_by) => {}
        Trust::Keys(_) => {
            findings.add(Code::SignatureUntrusted.found(format_args!("signed by {}", signed_by.fingerprint())))
        }
    }
}

/// Compares the tag manifest with the bag's own files, of which it must list these.
pub(crate) fn examine_tag_manifest(text: &[u8], tags: &TagFiles, listed: &[&str], findings: &mut Findings) {
    let (lines, bad) = bag::parse_manifest(text);
    bad_lines(names::TAG_MANIFEST, &bad, findings);
    let mut listed = listed.to_vec();
    listed.sort_unstable();
    if bad.is_empty() && !lines.iter().map(|(path, _)| path.as_str()).eq(listed) {
        findings.add(Code::TagUnlisted.at(names::TAG_MANIFEST, ""));
    }
    for (path, digest) in &lines {
        if let Some(content) = tags.get(path.as_str())
            && Digest::of(content) != *digest
        {
            findings.add(Code::TagDigest.at(path, ""));
        }
    }
}

/// Reads `pcc.json` of an archive that stands for itself and holds this many bytes.
fn examine_pcc(text: &[u8], bytes: u64, findings: &mut Findings) -> Option<Manifest> {
    let manifest = read_pcc(text, findings)?;
    if manifest.kind == Kind::Delta {
        let base = manifest.base.as_ref().and_then(|base| base["archiveId"].as_str());
        findings.add(Code::Delta.at(names::PCC, base.map_or(String::new(), |id| format!("it builds on {id}"))));
    }
    if manifest.counts.bytes != bytes {
        findings.add(Code::Bytes.at(names::PCC, format_args!("it says {}, there are {bytes}", manifest.counts.bytes)));
    }
    Some(manifest)
}

/// Reads `pcc.json` and judges it by itself.
pub(crate) fn read_pcc(text: &[u8], findings: &mut Findings) -> Option<Manifest> {
    if let Err(err) = json(text) {
        findings.add(Code::Pcc.at(names::PCC, err));
        return None;
    }
    // Version and format first: an archive of a later version may well have another shape.
    let loose: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    if !loose.is_object() {
        findings.add(Code::Pcc.at(names::PCC, "it is no object"));
        return None;
    }
    if loose["format"].as_str().is_some_and(|format| format != FORMAT) {
        findings.add(Code::Format.at(names::PCC, "its format is another"));
        return None;
    }
    let min_reader = loose["minReader"].as_str().and_then(|text| text.parse().ok());
    if let Some(min_reader) = min_reader
        && VERSION < min_reader
    {
        findings.add(Code::MinReader.at(names::PCC, format_args!("it needs version {min_reader}, this is {VERSION}")));
        return None;
    }
    // Texts that are no such value are another matter than members that are no texts.
    let mut strange = false;
    for (member, sound) in [
        ("version", (|text| text.parse::<manifest::Version>().is_ok()) as fn(&str) -> bool),
        ("minReader", |text| text.parse::<manifest::Version>().is_ok()),
        ("kind", |text| matches!(text, "full" | "delta")),
    ] {
        if loose[member].as_str().is_some_and(|text| !sound(text)) {
            findings.add(Code::Format.at(names::PCC, format_args!("its {member} is none")));
            strange = true;
        }
    }
    if strange {
        return None;
    }
    let manifest: Manifest = match serde_json::from_value(loose) {
        Ok(manifest) => manifest,
        Err(err) => {
            findings.add(Code::Pcc.at(names::PCC, err));
            return None;
        }
    };
    for why in oddities(&manifest) {
        findings.add(Code::Format.at(names::PCC, why));
    }
    Some(manifest)
}

/// The values that are of the right type and yet not allowed.
fn oddities(manifest: &Manifest) -> impl Iterator<Item = &'static str> {
    let secrets = manifest.secrets.as_ref();
    let unlock = |means: &String| means == "passphrase" || means == "recipient";
    [
        (manifest.min_reader <= manifest.version, "its minReader is newer than its version"),
        (shape::is_uuid_urn(&manifest.archive_id), "its archiveId is no urn:uuid: in lower case"),
        (shape::is_did(&manifest.subject.did), "its subject has no DID"),
        (!manifest.subject.domain.is_empty(), "its subject has no address"),
        (shape::is_moment(&manifest.snapshot.at), "the moment of its snapshot is no time in UTC"),
        (manifest.snapshot.consistency == "point-in-time", "its snapshot is not of one moment"),
        (manifest.kind == Kind::Delta || manifest.base.is_none(), "it is full and yet builds on another"),
        (secrets.is_none_or(|secrets| secrets.scheme == "age"), "its secrets are sealed by something else than age"),
        (secrets.is_none_or(|secrets| secrets.unlock.iter().all(unlock)), "its secrets open by unknown means"),
        (
            manifest.omitted.iter().all(|omitted| !omitted.what.is_empty() && !omitted.why.is_empty()),
            "something omitted is not named or no reason is given",
        ),
    ]
    .into_iter()
    .filter_map(|(sound, why)| (!sound).then_some(why))
}

fn examine_info(text: &[u8], oxum: &str, manifest: Option<&Manifest>, findings: &mut Findings) {
    let parsed = std::str::from_utf8(text)
        .map_err(|_| "it is not UTF-8".to_owned())
        .and_then(|text| bag::parse_info(text).map_err(|bad| format!("line {}: {}", bad.line, bad.why)));
    let info = match parsed {
        Ok(info) => info,
        Err(why) => return findings.add(Code::Info.at(names::BAG_INFO, why)),
    };
    for label in
        ["bagging-date", "external-identifier", "source-organization", "bagit-profile-identifier", "payload-oxum"]
    {
        match info.get(label).map(Vec::as_slice) {
            Some([_]) => {}
            Some(_) => {
                findings.add(Code::Info.at(names::BAG_INFO, format_args!("{label} does not stand there exactly once")))
            }
            None => findings.add(Code::Info.at(names::BAG_INFO, format_args!("{label} is missing"))),
        }
    }
    let value = |label: &str| info.get(label).and_then(|values| values.first()).map(String::as_str);
    if let Some(says) = value("payload-oxum")
        && says != oxum
    {
        findings.add(Code::Oxum.at(names::BAG_INFO, format_args!("it says {says}, there are {oxum}")));
    }
    if value("bagging-date").is_some_and(|says| !shape::is_day(says)) {
        findings.add(Code::Info.at(names::BAG_INFO, "its date is no day"));
    }
    if let (Some(says), Some(manifest)) = (value("external-identifier"), manifest)
        && says != manifest.subject.did
    {
        findings.add(Code::Info.at(names::BAG_INFO, "it names another person than pcc.json"));
    }
}

fn examine_manifest(text: &[u8], entries: &mut [Entry], findings: &mut Findings) {
    let (lines, bad) = bag::parse_manifest(text);
    bad_lines(names::MANIFEST, &bad, findings);
    for pair in lines.windows(2) {
        if pair[0].0 >= pair[1].0 {
            findings.add(Code::ManifestOrder.at(&pair[1].0, ""));
        }
    }
    let mut listed: BTreeMap<_, _> = lines.into_iter().collect();
    for entry in entries.iter_mut().filter(|entry| entry.path.is_payload()) {
        entry.digest = listed.remove(&entry.path);
        if entry.digest.is_none() {
            findings.add(Code::Unlisted.at(&entry.path, ""));
        }
    }
    for path in listed.keys() {
        findings.add(Code::Missing.at(path, ""));
    }
}

pub(crate) fn bad_lines(name: &str, bad: &[BadLine], findings: &mut Findings) {
    for BadLine { line, why } in bad {
        findings.add(Code::ManifestLine.at(name, format_args!("line {line}: {why}")));
    }
}

/// Whether `text` is sound JSON: no duplicate members, bounded depth, no numbers others would round.
pub(crate) fn json(text: &[u8]) -> Result<row::Value, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    row::Value::from_document(text).map_err(|err| err.to_string())
}

pub(crate) fn chain(err: &SignatureError) -> String {
    match std::error::Error::source(err) {
        Some(source) => format!("{err}: {source}"),
        None => err.to_string(),
    }
}
