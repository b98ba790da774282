//! The same bag as a folder: what an unpacked archive is, and how one is unpacked.
//!
//! All access is beneath an open directory ([`cap_std`]), so that no name and no link that someone plants meanwhile
//! leads outside; files are made anew, never opened for writing when they exist.

use std::io::{self, Read, Write};

use cap_std::fs::{Dir, OpenOptions};

use crate::bag::names;
use crate::check::Report;
use crate::digest::{Summary, Tally};
use crate::finding::{Code, Findings};
use crate::head::{self, TagFiles};
use crate::layout::{self, Entry, Limits};
use crate::packed::{MAX_DOCUMENT, Stored};
use crate::path::EntryPath;
use crate::payload::{self, Payload};
use crate::reader::{Progress, Reader, Verified};
use crate::signature::Trust;
use crate::source::Source;

/// How deep folders may nest; deeper than any path of 180 characters can.
const MAX_DEPTH: usize = 100;

/// Checks a folder that holds an unpacked archive: all findings, as [`check`](crate::check::check) does for the ZIP.
pub fn check(dir: &Dir, limits: &Limits, trust: &Trust, progress: &mut dyn FnMut(Progress)) -> Report {
    let mut findings = Findings::default();
    let mut entries = Vec::new();
    if let Err(err) = list(dir, "", 0, limits, &mut entries, &mut findings) {
        findings.add(Code::Read.found(err));
    }
    let place = |path: &EntryPath| {
        names::TAG_FILES.iter().position(|name| *name == path.as_str()).unwrap_or(names::TAG_FILES.len())
    };
    entries.sort_by(|a, b| place(&a.path).cmp(&place(&b.path)).then_with(|| a.path.cmp(&b.path)));
    layout::check_order(&entries, &names::TAG_FILES, &mut findings);
    let tags = read_tags(dir, &entries, &mut findings);
    let head = head::examine(&tags, &mut entries, limits, &mut findings);
    if let Some(key) = &head.signed_by {
        head::examine_trust(key, trust, &mut findings);
    }
    if !findings.has(Code::Quota) {
        let mut payload = Payload::of(&entries);
        let total = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
        let mut done = 0;
        for entry in entries.iter().filter(|entry| entry.path.is_payload()) {
            if let Err(err) = read_entry(dir, entry, &mut payload, &mut findings) {
                findings.add(Code::Read.at(&entry.path, err));
            }
            done += entry.size;
            progress(Progress { done, total });
        }
        payload.finish(head.manifest.as_ref(), &mut findings);
    }
    Report::new(&entries, head, findings)
}

/// Unpacks a verified archive into `dir`, which should be empty: no file that exists is touched.
///
/// # Errors
/// When reading or writing fails, or a file exists already; the error names the file.
pub fn extract<S: Source>(
    reader: &Reader<S, Verified>,
    dir: &Dir,
    wanted: impl Fn(&EntryPath) -> bool,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<()> {
    unpack(reader, dir, wanted, |_, _| Ok(false), progress)
}

/// Goes on with what [`extract`] began in `dir`: files of the archive that are there and have its content stay, others are
/// written anew. Files that the archive does not have are not touched.
///
/// # Errors
/// When reading or writing fails; the error names the file.
pub fn extract_rest<S: Source>(
    reader: &Reader<S, Verified>,
    dir: &Dir,
    wanted: impl Fn(&EntryPath) -> bool,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<()> {
    unpack(reader, dir, wanted, is_there, progress)
}

/// Whether a file is there whole; one that is there otherwise is removed.
fn is_there(dir: &Dir, entry: &Entry) -> io::Result<bool> {
    let path = entry.path.as_str();
    let there = match dir.symlink_metadata(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    if there.is_file() && there.len() == entry.size {
        let mut tally = Tally::new();
        let mut file = dir.open(path)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => tally.update(&buffer[..count]),
            }
        }
        let found = tally.finish();
        if found.crc32 == entry.crc32 && entry.digest.is_none_or(|digest| digest == found.digest) {
            return Ok(true);
        }
    }
    dir.remove_file(path)?;
    Ok(false)
}

fn unpack<S: Source>(
    reader: &Reader<S, Verified>,
    dir: &Dir,
    wanted: impl Fn(&EntryPath) -> bool,
    is_there: impl Fn(&Dir, &Entry) -> io::Result<bool>,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<()> {
    let wanted: Vec<&Entry> = reader.entries().iter().filter(|entry| wanted(&entry.path)).collect();
    let total = wanted.iter().map(|entry| entry.size).sum();
    let mut done = 0;
    let mut made: Option<String> = None;
    let mut buffer = vec![0; 256 * 1024];
    for entry in wanted {
        let named = |err: io::Error| io::Error::new(err.kind(), format!("{}: {err}", entry.path));
        if let Some(folder) = entry.path.folders().last()
            && made.as_deref() != Some(folder)
        {
            dir.create_dir_all(folder).map_err(named)?;
            made = Some(folder.to_owned());
        }
        if is_there(dir, entry).map_err(named)? {
            done += entry.size;
            progress(Progress { done, total });
            continue;
        }
        let mut file =
            dir.open_with(entry.path.as_str(), OpenOptions::new().write(true).create_new(true)).map_err(named)?;
        let mut content = reader.content(entry).map_err(named)?;
        loop {
            let count = content.read(&mut buffer).map_err(named)?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(named)?;
            done += count as u64;
            progress(Progress { done, total });
        }
    }
    Ok(())
}

/// Every file beneath `dir`, as entries; what is no plain file or folder goes to `findings`.
fn list(
    dir: &Dir,
    prefix: &str,
    depth: usize,
    limits: &Limits,
    entries: &mut Vec<Entry>,
    findings: &mut Findings,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        findings.add(Code::Name.at(prefix, "folders nest too deep"));
        return Ok(());
    }
    for item in dir.entries()? {
        let item = item?;
        let name = item.file_name();
        let path = format!("{prefix}{}", name.to_string_lossy());
        let kind = item.file_type()?;
        if kind.is_dir() {
            list(&item.open_dir()?, &format!("{path}/"), depth + 1, limits, entries, findings)?;
        } else if !kind.is_file() {
            findings.add(Code::Link.at(&path, ""));
        } else if name.to_str().is_none() {
            findings.add(Code::Name.at(&path, "the name is not UTF-8"));
        } else {
            match path.parse::<EntryPath>() {
                Err(err) => findings.add(Code::Name.at(&path, err)),
                Ok(path) => {
                    let size = item.metadata()?.len();
                    entries.push(Entry { path, size, crc32: 0, stored: Stored::Whole, offset: 0, digest: None });
                }
            }
            if entries.len() as u64 > limits.entries {
                findings.add(Code::TooMany.found(format_args!("more than {}", limits.entries)));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read_tags(dir: &Dir, entries: &[Entry], findings: &mut Findings) -> TagFiles {
    let mut tags = TagFiles::new();
    for entry in entries {
        let Some(name) = names::TAG_FILES.into_iter().find(|name| *name == entry.path.as_str()) else { continue };
        let limit = head::tag_file_limit(name, entries.len() as u64);
        if entry.size > limit {
            findings.add(Code::TagTooLong.at(name, format_args!("{} bytes; {limit} are allowed", entry.size)));
            continue;
        }
        match read_up_to(dir, name, limit) {
            Ok(content) => {
                tags.insert(name, content);
            }
            Err(err) => findings.add(Code::Read.at(name, err)),
        }
    }
    tags
}

fn read_entry(dir: &Dir, entry: &Entry, payload: &mut Payload, findings: &mut Findings) -> io::Result<()> {
    let sealed = payload::is_sealed(&entry.path);
    if Payload::wants_content(entry) && !sealed {
        let content = read_up_to(dir, entry.path.as_str(), MAX_DOCUMENT as u64)?;
        if content.len() > MAX_DOCUMENT {
            findings.add(Code::DocumentTooLong.at(&entry.path, ""));
            return Ok(());
        }
        payload.file(entry, &Summary::of(&content), findings);
        payload.document(entry, &content, findings);
        return Ok(());
    }
    let mut file = dir.open(entry.path.as_str())?;
    let mut tally = Tally::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        if sealed && tally.size() == 0 && !crate::secrets::is_sealed(&buffer[..count]) {
            findings.add(Code::Secrets.at(&entry.path, "it is not sealed by age"));
        }
        tally.update(&buffer[..count]);
    }
    payload.file(entry, &tally.finish(), findings);
    Ok(())
}

/// A file's content, or one byte more than `limit` of it when it is longer.
fn read_up_to(dir: &Dir, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    dir.open(name)?.take(limit + 1).read_to_end(&mut content)?;
    Ok(content)
}
