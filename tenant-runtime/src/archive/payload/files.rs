//! The files of an app, under names every system takes; `files.ndjson` keeps the true ones.

use export_format::AppId;
use export_format::digest::Summary;
use export_format::entry::files_segment;
use export_format::path::Namer;
use export_format::row::Segments;
use rusqlite::Connection;
use serde_json::json;

use super::{Entry, Payload, Sink, Source, render};
use crate::archive::error::Error;
use crate::archive::row::written;
use crate::files;

pub(super) fn render(
    db: &Connection,
    app: &AppId,
    root: &str,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(), Error> {
    let mut namer = Namer::new(&format!("{root}/files")).map_err(|why| Error::Bug(why.to_string()))?;
    let mut lines = Vec::new();
    files::each(db, app, |file| {
        let truly = file.path.as_str();
        let path = namer.place(truly);
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
        lines.push(line);
        let summary = Summary { size: file.size, digest: file.digest, crc32: file.crc32 };
        payload.counts.files += 1;
        payload.add(path, Entry { summary, source: Source::Blob })
    })?;
    let path = render::path(&format!("{root}/files.ndjson"))?;
    for (index, segment) in segments(&render::lines(db, &path, lines)?).into_iter().enumerate() {
        let path = render::path(&format!("{root}/{}", files_segment(index)))?;
        payload.add(path, sink.keep(&segment)?)?;
    }
    Ok(())
}

/// Cuts lines into segments; none for no lines.
fn segments(lines: &[u8]) -> Vec<Vec<u8>> {
    let mut segments = Segments::default();
    let lines = String::from_utf8_lossy(lines);
    let mut all: Vec<Vec<u8>> = lines.lines().filter_map(|line| segments.push(line, line)).collect();
    all.extend(segments.finish());
    all
}
