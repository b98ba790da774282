//! An app's package: its folder as a zip whose bytes depend on nothing but the files in it.
//!
//! Files are sorted by path, every time is the same, every mode is the same. So anyone can rebuild a package from
//! its sources and compare digests.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use export_format::AppId;
use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::error::Error;
use super::index::{self, Listing, Permission};
use super::words;

/// The largest icon.
pub(super) const MAX_ICON_BYTES: u64 = 256 << 10;

/// The largest manifest.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// An app's files by path, as they stand in its package.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What a manifest says that a catalogue shows.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) id: AppId,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) description: String,
    pub(super) categories: Vec<String>,
    pub(super) permissions: Vec<Permission>,
    pub(super) icon: String,
}

/// Packs files into a deterministic zip.
pub(crate) fn pack(files: &Files) -> Vec<u8> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(6))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, bytes) in files {
        zip.start_file(path.as_str(), options).expect("paths are plain and unique");
        zip.write_all(bytes).expect("memory takes what is written");
    }
    zip.finish().expect("memory takes what is written").into_inner()
}

/// Reads what a catalogue needs from a folder's manifest, and refuses an app that could not be opened.
pub(super) fn facts(at: &str, files: &Files) -> Result<Facts, Error> {
    let refuse = |why: String| Error::App { at: at.to_owned(), why };
    let manifest = files.get("manifest.json").ok_or_else(|| refuse("it has no manifest.json".to_owned()))?;
    let manifest: Value =
        serde_json::from_slice(manifest).map_err(|error| refuse(format!("its manifest is not JSON: {error}")))?;
    let text = |key: &str| {
        let value = manifest.get(key).and_then(Value::as_str).filter(|value| !value.is_empty());
        value.map(str::to_owned).ok_or_else(|| refuse(format!("its manifest has no {key}")))
    };
    let id = text("identifier")?.parse().map_err(|error| refuse(format!("its identifier is refused: {error}")))?;
    let icon = text("icon")?;
    let list = |key: &str| manifest.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for file in page_files(&manifest).iter().chain([&icon]) {
        if !files.contains_key(file) {
            return Err(refuse(format!("its manifest names {file}, which is not there")));
        }
    }
    Ok(Facts {
        id,
        name: text("display_name")?,
        version: text("version")?,
        description: text("description")?,
        categories: list("categories").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        permissions: list("permissions").iter().map(words::permission).collect(),
        icon,
    })
}

/// Every file that the pages of a manifest name.
fn page_files(manifest: &Value) -> Vec<String> {
    let pages = manifest.get("pages").and_then(Value::as_object);
    let mut files = Vec::new();
    for page in pages.into_iter().flat_map(|pages| pages.values()) {
        files.extend(page.get("html_file").and_then(Value::as_str).map(str::to_owned));
        for key in ["css_files", "modules", "script_files"] {
            let named = page.get(key).and_then(Value::as_array).into_iter().flatten();
            files.extend(named.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    files
}

/// The fingerprint of the key that signed the files, if one did.
pub(super) fn maker(at: &str, files: &Files) -> Result<Option<String>, Error> {
    use export_format::{Digest, package};
    let digests = files.iter().map(|(path, bytes)| (path.as_str(), Digest::of(bytes)));
    let file = |path: &str| files.get(path).map(Vec::as_slice);
    let maker = package::maker(file(package::LIST), file(package::SIGNATURE), digests);
    let maker = maker.map_err(|broken| Error::App { at: at.to_owned(), why: broken.to_string() })?;
    Ok(maker.map(|key| key.fingerprint()))
}

/// What is new: the first section below a heading of `CHANGELOG.md`.
pub(super) fn changes(files: &Files) -> String {
    let text = files.get("CHANGELOG.md").map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
    let section = text.lines().skip_while(|line| !line.starts_with("## ")).skip(1);
    let lines: Vec<&str> = section.take_while(|line| !line.starts_with("## ")).map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

/// Refuses a package whose manifest says something other than its entry in the index.
pub(super) fn agrees(package: &[u8], listing: &Listing) -> Result<(), Error> {
    let refuse = |why: String| Error::App { at: listing.package.clone(), why };
    let mut zip = ZipArchive::new(Cursor::new(package)).map_err(|error| refuse(error.to_string()))?;
    let mut files = Files::new();
    for position in 0..zip.len() {
        let mut file = zip.by_index(position).map_err(|error| refuse(error.to_string()))?;
        let path = file.name().to_owned();
        if !index::is_plain_path(&path) {
            return Err(refuse(format!("{path:?} is no plain relative path")));
        }
        let mut bytes = Vec::new();
        if path == "manifest.json" {
            file.by_ref()
                .take(MAX_MANIFEST_BYTES)
                .read_to_end(&mut bytes)
                .map_err(|error| refuse(error.to_string()))?;
        }
        files.insert(path, bytes);
    }
    let facts = facts(&listing.package, &files)?;
    let same = facts.id == listing.id
        && facts.name == listing.name
        && facts.version == listing.version
        && facts.description == listing.description
        && facts.permissions == listing.permissions;
    if same { Ok(()) } else { Err(refuse("its manifest says something other than the index".to_owned())) }
}
