//! The files of an app, under names every system takes; `files.ndjson` keeps the true ones.

use std::collections::{BTreeMap, HashMap};

use export_format::digest::Summary;
use export_format::entry::files_segment;
use export_format::path::Namer;
use export_format::row::Segments;
use export_format::{AppId, EntryPath};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Entry, Payload, Sink, Source, kept, render};
use crate::archive::error::Error;
use crate::archive::row::written;
use crate::files::{self, FilePath};

pub(super) fn render(
    db: &Connection,
    app: &AppId,
    root: &str,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(), Error> {
    let folder = format!("{root}/files");
    let mut namer = Namer::new(&folder).map_err(|why| Error::Bug(why.to_string()))?;
    for carried in kept::carried_in(db, &folder)? {
        namer.place(&carried);
    }
    let kept = kept::members_in(db, &folder)?;
    let mut placed = placed_before(db, app, &kept, &mut namer)?;
    let mut lines = Vec::new();
    files::each(db, app, |file| {
        let truly = file.path.as_str();
        let path = placed.remove(truly).unwrap_or_else(|| namer.place(truly));
        let within = &path.as_str()[root.len() + 1..];
        let mut line = json!({
            "created": written(file.created),
            "modified": written(file.modified),
            "name": truly.rsplit('/').next().unwrap_or(truly),
            "path": within,
            "sha256": file.digest,
            "size": file.size,
            "type": file.mime,
        });
        if within.strip_prefix("files/") != Some(truly) {
            line["truePath"] = truly.into();
        }
        lines.push(render::Line { ours: line, theirs: kept.get(truly).cloned() });
        let summary = Summary { size: file.size, digest: file.digest, crc32: file.crc32 };
        payload.add(path, Entry { summary, source: Source::Blob })
    })?;
    let path = render::path(&format!("{root}/files.ndjson"))?;
    for (index, segment) in segments(&render::lines(db, &path, lines)?).into_iter().enumerate() {
        let path = render::path(&format!("{root}/{}", files_segment(index)))?;
        payload.add(path, sink.keep(&segment)?)?;
    }
    Ok(())
}

/// Where files stand that came under a name of the archive's own: rows refer to them by it.
fn placed_before(
    db: &Connection,
    app: &AppId,
    kept: &BTreeMap<String, String>,
    namer: &mut Namer,
) -> Result<HashMap<String, EntryPath>, Error> {
    let mut placed = HashMap::new();
    for (truly, words) in kept {
        let words: Value = serde_json::from_str(words).unwrap_or_default();
        let before = words.get("path").and_then(Value::as_str).and_then(|path| path.strip_prefix("files/"));
        if let (Some(before), Ok(path)) = (before, truly.parse())
            && files::get(db, app, &path)?.is_some()
        {
            placed.insert(truly.clone(), namer.place(before));
        }
    }
    Ok(placed)
}

/// Under which name it is kept what another writer said of a file.
pub(crate) fn file_words(root: &str, path: &FilePath) -> String {
    format!("{root}/files/{path}")
}

/// Cuts lines into segments; none for no lines.
fn segments(lines: &[u8]) -> Vec<Vec<u8>> {
    let mut segments = Segments::default();
    let lines = String::from_utf8_lossy(lines);
    let mut all: Vec<Vec<u8>> = lines.lines().filter_map(|line| segments.push(line, line)).collect();
    all.extend(segments.finish());
    all
}
