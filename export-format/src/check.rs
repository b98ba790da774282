//! Checking an archive (a folder: [`crate::directory`]): all findings, not the first.
//!
//! Where [`crate::reader`] stops at the gate, this goes on as far as anything can be told, so that whoever has to mend
//! or explain an archive sees everything at once.

use serde::Serialize;

use crate::finding::{Code, Findings};
use crate::head::{self, Head};
use crate::layout::{Entry, Limits};
use crate::manifest::Manifest;
use crate::payload::Payload;
use crate::reader::{self, Progress};
use crate::signature::{SigningKey, Trust};
use crate::source::Source;

/// What a check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether an import would take it.
    pub accepted: bool,
    /// How many entries it has.
    pub entries: u64,
    /// How long its content is, in bytes.
    pub bytes: u64,
    /// By which key it is signed, as `ssh-ed25519 AAAA…`.
    #[serde(serialize_with = "as_text")]
    pub signed_by: Option<SigningKey>,
    /// `pcc.json`, if it could be read.
    pub manifest: Option<Manifest>,
    /// Everything found.
    #[serde(flatten)]
    pub findings: Findings,
}

fn as_text<S: serde::Serializer>(key: &Option<SigningKey>, serializer: S) -> Result<S::Ok, S::Error> {
    match key {
        Some(key) => serializer.collect_str(key),
        None => serializer.serialize_none(),
    }
}

/// Checks an archive.
///
/// ```
/// use export_format::check::check;
/// use export_format::finding::Code;
/// use export_format::reader::Limits;
/// use export_format::signature::Trust;
/// let report = check(&vec![0_u8; 1000], &Limits::default(), &Trust::Anyone, &mut |_| {});
/// assert!(!report.accepted && report.findings.has(Code::NotArchive));
/// ```
pub fn check(
    source: &(impl Source + ?Sized),
    limits: &Limits,
    trust: &Trust,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let reader::Opened { layout, head, mut findings, .. } = reader::open(source, limits);
    let entries = &layout.entries;
    if let Some(key) = &head.signed_by {
        head::examine_trust(key, trust, &mut findings);
    }
    // Content that does not fit the room is not unpacked, not even to look at it.
    if !entries.is_empty() && !findings.has(Code::Quota) {
        let mut payload = Payload::of(entries);
        reader::read_payload(source, entries, layout.central_offset, &mut payload, progress, &mut findings);
        payload.finish(head.manifest.as_ref(), &mut findings);
    }
    Report::new(entries, head, findings)
}

impl Report {
    pub(crate) fn new(entries: &[Entry], head: Head, mut findings: Findings) -> Self {
        findings.judge_as_delta();
        Self {
            accepted: findings.accepted() && head.manifest.is_some() && head.signed_by.is_some(),
            entries: entries.len() as u64,
            bytes: entries
                .iter()
                .filter(|entry| entry.path.is_payload())
                .fold(0, |sum, entry| sum.saturating_add(entry.size)),
            signed_by: head.signed_by,
            manifest: head.manifest,
            findings,
        }
    }
}
