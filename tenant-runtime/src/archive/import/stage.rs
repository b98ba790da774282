//! Building an archive's content beside the live server.
//!
//! The staged home shares the live one's files, which are named by content, and nothing else. It is begun anew each
//! time: whatever an interrupted attempt left is thrown away, except for files that are there already.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use export_format::EntryPath;
use export_format::digest::Summary;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rusqlite::Connection;

use super::archive::Checked;
use super::intake::{AppIntake, FileIntake, Intake, lines};
use crate::apps::{AppRecord, CodeFile};
use crate::archive::error::Error;
use crate::archive::keepsakes::Keepsakes;
use crate::archive::payload::kept;
use crate::archive::running::Progress;
use crate::archive::{row, work};
use crate::documents;
use crate::files::FileRecord;
use crate::store::Home;
use crate::{apps, files, permissions, schema, settings};

/// How many files are put away at once.
const AT_ONCE: usize = 8;
/// How many rows about files are written at once.
pub(super) const BATCH: usize = 500;
/// How much of a file is in memory at once.
const CHUNK: usize = 256 * 1024;

/// What to build, and from what.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) archive: Arc<Checked>,
    pub(super) intake: Arc<Intake>,
    /// The moment that stands in for dates the archive does not say.
    pub(super) taken_ms: i64,
    pub(super) progress: Arc<Progress>,
}

/// Builds the content in a fresh stage called `name`.
pub(super) async fn stage(home: &Home, name: &str, plan: &Plan) -> Result<Home, Error> {
    home.discard_stage(name).await?;
    let staged = home.stage(name).await?;
    let keepsakes = home.read(Keepsakes::take).await?;
    let intake = plan.intake.clone();
    staged.write(move |tx| found(tx, &intake, &keepsakes)).await?;
    for at in 0..plan.intake.apps.len() {
        stage_app(&staged, plan, at).await?;
    }
    stage_carried(&staged, plan).await?;
    Ok(staged)
}

/// What every home begins with, and the documents about the person.
fn found(db: &Connection, intake: &Intake, keepsakes: &Keepsakes) -> Result<(), Error> {
    schema::migrate(db)?;
    kept::create(db)?;
    keepsakes.put(db)?;
    for (name, value) in &intake.settings {
        settings::put(db, name, value)?;
    }
    for permission in &intake.permissions {
        permissions::put(db, permission)?;
    }
    intake.by_itself.put(db)?;
    for (of, members) in &intake.members {
        kept::keep_members(db, of, members)?;
    }
    for (of, lines) in &intake.lines {
        kept::keep_lines(db, of, lines)?;
    }
    Ok(())
}

async fn stage_app(staged: &Home, plan: &Plan, at: usize) -> Result<(), Error> {
    let app = &plan.intake.apps[at];
    if let Some(installed) = &app.installed {
        let blobs = put_all(staged, plan, installed.code.iter().map(|(_, entry)| entry.clone()).collect()).await?;
        let named = installed.code.iter().zip(blobs);
        let code: Vec<CodeFile> = named.map(|((truly, _), blob)| code_file(truly, blob)).collect();
        let record = record(app, plan.taken_ms);
        staged.write(move |tx| apps::put(tx, &record, &code).map(|_| ()).map_err(Error::from)).await?;
    }
    for table in &app.tables {
        let (name, indexes) = (table.table.clone(), table.indexes.clone());
        staged.write(move |tx| documents::declare(tx, &name, &indexes).map_err(Error::from)).await?;
        for segment in &table.segments {
            let (archive, entry, taken) = (plan.archive.clone(), segment.clone(), plan.taken_ms);
            let rows = work::blocking(move || rows(&archive, &entry, taken)).await?;
            let name = table.table.clone();
            staged.write(move |tx| documents::put_kept(tx, &name, &rows).map_err(Error::from)).await?;
            plan.progress.add(plan.archive.size(segment));
        }
    }
    for batch in app.files.chunks(BATCH) {
        let blobs = put_all(staged, plan, batch.iter().map(|file| file.entry.clone()).collect()).await?;
        let named = batch.iter().zip(blobs);
        let records: Vec<FileRecord> = named.map(|(file, blob)| file_record(app, file, blob, plan.taken_ms)).collect();
        staged.write(move |tx| records.iter().try_for_each(|record| Ok::<_, Error>(files::put(tx, record)?))).await?;
    }
    Ok(())
}

pub(super) fn record(app: &AppIntake, taken_ms: i64) -> AppRecord {
    let installed = app.installed.as_ref();
    let at = installed.and_then(|installed| installed.installed_ms).unwrap_or(taken_ms);
    AppRecord {
        id: app.id.clone(),
        label: installed.map(|installed| installed.label.clone()).unwrap_or_default(),
        name: app.name.clone(),
        version: app.version.clone(),
        manifest: installed.map_or_else(|| "{}".into(), |installed| installed.manifest.clone()),
        release: 1,
        installed: at,
        updated: at,
        removed: installed.and_then(|installed| installed.removed_ms),
        keeping: installed.map(|installed| installed.keeping.clone()).unwrap_or_default(),
    }
}

pub(super) fn code_file(truly: &str, blob: Summary) -> CodeFile {
    let mime = mime_guess::from_path(truly).first_or_octet_stream().to_string();
    CodeFile { path: truly.to_owned(), digest: blob.digest, size: blob.size, crc32: blob.crc32, mime }
}

pub(super) fn file_record(app: &AppIntake, file: &FileIntake, blob: Summary, taken_ms: i64) -> FileRecord {
    let modified = file.modified_ms.or(file.created_ms).unwrap_or(taken_ms);
    FileRecord {
        app: app.id.clone(),
        path: file.path.clone(),
        digest: blob.digest,
        size: blob.size,
        crc32: blob.crc32,
        mime: file.mime.clone(),
        created: file.created_ms.unwrap_or(modified),
        modified,
    }
}

/// The records of one segment.
pub(super) fn rows(archive: &Checked, segment: &EntryPath, taken_ms: i64) -> Result<Vec<documents::Row>, Error> {
    let text = archive.document(segment)?;
    lines(&text)
        .map(|line| {
            row::from_line(line, taken_ms)
                .map_err(|why| Error::Refused(format!("a row of {segment} cannot be read: {why}")))
        })
        .collect()
}

async fn stage_carried(staged: &Home, plan: &Plan) -> Result<(), Error> {
    let carried: Vec<EntryPath> = plan.intake.carried.iter().cloned().collect();
    for batch in carried.chunks(BATCH) {
        let blobs = put_all(staged, plan, batch.to_vec()).await?;
        let done: Vec<(EntryPath, Summary)> = batch.iter().cloned().zip(blobs).collect();
        staged.write(move |tx| done.iter().try_for_each(|(path, content)| kept::carry(tx, path, *content))).await?;
    }
    Ok(())
}

/// Puts several entries away, in their order, a few at once.
pub(super) async fn put_all(staged: &Home, plan: &Plan, paths: Vec<EntryPath>) -> Result<Vec<Summary>, Error> {
    let (staged, plan) = (staged.clone(), plan.clone());
    let put = stream::iter(paths).map(move |path| {
        let (staged, plan) = (staged.clone(), plan.clone());
        async move { put_entry(&staged, &plan, &path).await }
    });
    put.buffered(AT_ONCE).try_collect().await
}

/// Puts one entry away among the server's files, unless it is there, and makes sure it is what the archive says.
pub(super) async fn put_entry(staged: &Home, plan: &Plan, path: &EntryPath) -> Result<Summary, Error> {
    let wanted =
        plan.archive.entries().get(path).copied().ok_or_else(|| Error::Bug(format!("{path} is not in the archive")))?;
    let there = match staged.blobs().claim(&wanted.digest).await? {
        true => staged.blobs().stat(&wanted.digest).await?,
        false => None,
    };
    let blob = match there {
        Some(blob) => blob,
        None => {
            let (sender, receiver) = tokio::sync::mpsc::channel(4);
            let (archive, path) = (plan.archive.clone(), path.clone());
            tokio::task::spawn_blocking(move || pump(&archive, &path, &sender));
            let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
            staged.blobs().put(stream, Some(wanted.size)).await?
        }
    };
    plan.progress.add(blob.size);
    if blob.digest != wanted.digest || blob.size != wanted.size {
        return Err(Error::Differs(path.to_string()));
    }
    Ok(Summary { size: blob.size, digest: blob.digest, crc32: blob.crc32 })
}

/// Reads an entry into a channel; whoever holds the other end may go away at any time.
fn pump(archive: &Checked, path: &EntryPath, sender: &tokio::sync::mpsc::Sender<std::io::Result<Bytes>>) {
    let mut content = match archive.content(path) {
        Ok(content) => content,
        Err(error) => return drop(sender.blocking_send(Err(std::io::Error::other(error.to_string())))),
    };
    loop {
        let mut chunk = vec![0; CHUNK];
        let next = match content.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                chunk.truncate(length);
                Ok(Bytes::from(chunk))
            }
            Err(error) => Err(error),
        };
        let ended = next.is_err();
        if sender.blocking_send(next).is_err() || ended {
            return;
        }
    }
}
