//! Gathering: what apps have on another server becomes an archive, and the archive an import.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use export_format::digest::Summary;
use export_format::entry::{APP_SCHEMA, App, FileRow, Table, files_segment};
use export_format::manifest::Counts;
use export_format::packed::Packer;
use export_format::path::Namer;
use export_format::plan::Plan;
use export_format::row::{Segments, Value};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use tenant_runtime::files::FilePath;

use super::archive::{About, Piece, lay_out};
use super::ceps::{Ceps, Manifest, Token};
use super::desk::Job;
use super::files::{self, Fetched};
use super::spool::Spool;
use super::table::{Budget, From, Rows};
use super::value::value_of;
use super::{Stage, State};
use crate::{ControlPlane, Error, Kind, Result, servers};

/// The most tables of one app.
const MOST_TABLES: usize = 500;
/// The longest name of a table.
const LONGEST_NAME: usize = 100;
/// The largest manifest that is kept of an app, in bytes.
const MOST_WORDS: usize = 256 << 10;
/// The table of records about files.
const FILES: &str = "files";
/// The name in an archive of the table that carries the app's own name.
const OWN: &str = "~";
/// How long an upload to the server here is tried again.
const PAUSES: [u64; 8] = [250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000];

/// What all apps of one gathering share.
struct Gathering<'a> {
    job: &'a Job,
    ceps: &'a Ceps,
    now: Timestamp,
    spool: Spool,
    budget: Budget,
    pieces: Vec<Piece>,
    counts: Counts,
    names: BTreeMap<String, String>,
}

/// Gathers everything and hands it to the import.
pub(super) async fn gather(plane: &ControlPlane, job: &Job, ceps: &Ceps, tokens: &[Token]) -> Result<()> {
    let work = job.now();
    job.doing(format!("Asking {} what it is.", work.host));
    let limit = servers::usage(plane, &job.actor, work.server).await?.limit_bytes;
    let software = ceps.software().await.unwrap_or_default();
    let now = plane.now();
    // Rows lie there twice: as they came, and as they leave.
    let room = limit.saturating_mul(2).saturating_add(64 << 20);
    let spool = Spool::create(&plane.settings().data_dir, &work.id.to_string(), room)?;
    let mut all = Gathering {
        job,
        ceps,
        now,
        spool,
        budget: Budget::default(),
        pieces: Vec::new(),
        counts: Counts::default(),
        names: BTreeMap::new(),
    };
    for token in tokens {
        all.app(token).await?;
    }
    job.note(|now| now.stage = Stage::LayOut);
    job.doing("Laying out what came as an archive.");
    let Gathering { mut spool, pieces, counts, names, .. } = all;
    let left = job.now().left;
    let about = About { id: work.id, ceps, software, at: now, apps: names, counts, left };
    let plan = lay_out(about, pieces, &mut spool)?;
    job.note(|now| now.stage = Stage::HandOver);
    hand_over(plane, job, &spool, plan).await
}

impl Gathering<'_> {
    async fn app(&mut self, token: &Token) -> Result<()> {
        let (job, ceps, id) = (self.job, self.ceps, token.app.clone());
        let Manifest { manifest, tables } = ceps.manifest(token).await?;
        let text = |name: &str| {
            let text = manifest.get(name).and_then(Json::as_str).unwrap_or_default();
            text.chars().filter(|c| !c.is_control()).take(100).collect::<String>().trim().to_owned()
        };
        let name = Some(text("display_name")).filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string());
        let root = format!("data/apps/{id}");
        let mut namer = Namer::new(&format!("{root}/tables")).map_err(Error::bug)?;
        let mut listed = Vec::new();
        for table in self.tables_of(token, &tables) {
            let called = if table.is_empty() { id.to_string() } else { format!("{id}.{table}") };
            job.doing(format!("Reading {called}."));
            let from = From { job, ceps, token, table: &called, now: self.now };
            let rows = from.read(&mut self.spool, &mut self.budget).await?;
            if table != FILES {
                self.table(&table, &rows, &root, &mut namer, &mut listed)?;
            } else {
                self.files(token, rows, &root, &mut namer, &mut listed).await?;
            }
        }
        let mut app = App {
            schema: APP_SCHEMA.to_owned(),
            id: id.clone(),
            name: name.clone(),
            version: text("version"),
            // What the app itself is did not come: it is found by the app when that is installed.
            runtime: "data".to_owned(),
            tables: listed,
            other: Map::new(),
        };
        let mut origin = json!({"kind": "ceps", "server": ceps.origin()});
        let words = value_of(manifest).ok().map(|manifest| manifest.to_stored());
        match words
            .filter(|words| words.len() <= MOST_WORDS)
            .and_then(|words| serde_json::from_str::<Json>(&words).ok())
        {
            Some(manifest) if manifest.is_object() => origin["manifest"] = manifest,
            _ => job.say_left(&format!("the manifest of {id}"), "the server gave none that could be kept"),
        }
        app.other.insert("origin".to_owned(), origin);
        let mut document = serde_json::to_vec_pretty(&app).map_err(Error::bug)?;
        document.push(b'\n');
        if std::str::from_utf8(&document).is_ok_and(|text| Value::from_document(text).is_err()) {
            // Numbers that a document cannot say, for instance.
            app.other.clear();
            job.say_left(&format!("the manifest of {id}"), "it cannot stand in an archive as it is");
            document = serde_json::to_vec_pretty(&app).map_err(Error::bug)?;
            document.push(b'\n');
        }
        let path = format!("{root}/app.json").parse().map_err(Error::bug)?;
        self.pieces.push(Piece::packed(path, &document, &mut Packer::new(), &mut self.spool)?);
        self.counts.apps += 1;
        self.names.insert(id.to_string(), name);
        Ok(())
    }

    /// The tables of an app without its name, that of files last.
    fn tables_of(&self, token: &Token, named: &[String]) -> Vec<String> {
        let (app, mut tables, mut strange) = (token.app.as_str(), BTreeSet::new(), 0);
        for name in named {
            let within = match name.strip_prefix(app) {
                Some("") => Some(String::new()),
                Some(rest) => rest.strip_prefix('.').map(str::to_owned),
                // A manifest may name its tables without the app.
                None if !name.contains('.') => Some(name.clone()),
                None => None,
            };
            let sound = |table: &String| {
                table.len() <= LONGEST_NAME && !table.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '~'))
            };
            match within.filter(sound).filter(|table| table != "." && table != "..") {
                Some(table) if table == FILES => {}
                Some(table) if tables.len() < MOST_TABLES => drop(tables.insert(table)),
                _ => strange += 1,
            }
        }
        self.job.leave_all(
            strange,
            &format!("tables that {app} names"),
            "they are another app's, have a name that no table can have, or are too many",
        );
        // Records often stand in the table that carries the app's own name, which no manifest names.
        tables.insert(String::new());
        tables.into_iter().chain([FILES.to_owned()]).collect()
    }

    fn table(
        &mut self,
        table: &str,
        rows: &Rows,
        root: &str,
        namer: &mut Namer,
        listed: &mut Vec<Table>,
    ) -> Result<()> {
        if rows.len() == 0 && table.is_empty() {
            return Ok(());
        }
        let name = if table.is_empty() { OWN } else { table };
        let segments = rows.write(name, namer, &mut self.spool, &mut self.pieces)?;
        let within = segments.iter().filter_map(|path| path.strip_prefix(root)?.strip_prefix('/').map(str::to_owned));
        listed.push(Table {
            name: name.to_owned(),
            schema: None,
            count: rows.len(),
            segments: within.collect(),
            other: Map::new(),
        });
        self.counts.tables += 1;
        self.counts.documents += rows.len();
        Ok(())
    }

    /// The files of an app, and the records about those that came.
    async fn files(
        &mut self,
        token: &Token,
        mut rows: Rows,
        root: &str,
        namer: &mut Namer,
        listed: &mut Vec<Table>,
    ) -> Result<()> {
        let (job, ceps) = (self.job, self.ceps);
        let wanted = files::list(job, ceps, token, &rows, &self.spool).await?;
        let mut names = Namer::new(&format!("{root}/files")).map_err(Error::bug)?;
        let (mut lines, mut segments, mut came) = (Vec::new(), Segments::default(), BTreeSet::new());
        let (total, mut opens) = (wanted.len(), None);
        for (n, (path, listed)) in wanted.into_values().enumerate() {
            job.doing(format!("Fetching the files of {}: {} of {total}.", token.app, n + 1));
            let truly = listed.path.clone();
            let Some(file) = files::fetch(job, ceps, token, &mut opens, listed, &mut self.spool).await? else {
                continue;
            };
            came.insert(truly);
            let place = names.place(path.as_str());
            let row = file_row(&path, place.as_str().strip_prefix(root).unwrap_or_default(), &file)?;
            if let Some(full) = segments.push(&row, &row) {
                lines.push(full);
            }
            self.pieces.push(Piece::file(place, file.summary, file.at));
            self.counts.files += 1;
        }
        lines.extend(segments.finish());
        for (index, segment) in lines.iter().enumerate() {
            let path = format!("{root}/{}", files_segment(index)).parse().map_err(Error::bug)?;
            self.pieces.push(Piece::packed(path, segment, &mut Packer::new(), &mut self.spool)?);
        }
        let lost = rows.retain(|id| came.contains(id));
        job.leave_all(lost, &format!("records about files of {}", token.app), "the files themselves did not come");
        if rows.len() > 0 {
            self.table(FILES, &rows, root, namer, listed)?;
        }
        Ok(())
    }
}

/// What is said of a file that came.
fn file_row(path: &FilePath, within: &str, file: &Fetched) -> Result<String> {
    let Summary { size, digest, .. } = file.summary;
    let moment = |ms: Option<i64>| {
        let at = Timestamp::from_millisecond(ms?).ok()?;
        Some(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
    };
    let within = within.trim_start_matches('/');
    let media_type = file.listed.media_type.clone().filter(|kind| is_media_type(kind));
    let mut row = FileRow {
        path: within.to_owned(),
        name: path.name().to_owned(),
        sha256: digest,
        size,
        media_type: media_type.unwrap_or_else(|| path.media_type()),
        created: moment(file.listed.created.or(file.listed.modified)),
        modified: moment(file.listed.modified.or(file.listed.created)),
        other: Map::new(),
    };
    if within.strip_prefix("files/") != Some(path.as_str()) {
        row.other.insert("truePath".to_owned(), path.as_str().into());
    }
    let value = serde_json::to_value(row).map_err(Error::bug)?;
    Ok(value_of(value).map_err(Error::bug)?.to_row())
}

fn is_media_type(text: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    text.len() <= 100 && text.split_once('/').is_some_and(|(kind, sub)| plain(kind) && plain(sub))
}

/// Uploads the archive as its owner would, and leaves the rest to the import.
async fn hand_over(plane: &ControlPlane, job: &Job, spool: &Spool, plan: Arc<Plan<u64>>) -> Result<()> {
    let (operations, bytes) = (plane.operations(), plan.len());
    job.doing("Handing it to the import.");
    let operation = operations.start_import(&job.actor, job.now().server, bytes).await?;
    job.note(|now| now.import = Some(operation.id));
    let (mut offset, mut pauses) = (operation.received, PAUSES.into_iter());
    while offset < bytes {
        if job.now().state == State::Ended {
            operations.end(&job.actor, operation.id).await?;
            return Ok(());
        }
        let body = Body::from_stream(spool.reader().stream(Arc::clone(&plan), offset));
        match operations.import_upload(&job.actor, operation.id, offset, body).await {
            Ok(reached) => offset = reached,
            Err(error) if error.kind() == Kind::Retry => {
                let pause = pauses.next().ok_or(error)?;
                tokio::time::sleep(Duration::from_millis(pause)).await;
                offset = operations.operation(&job.actor, operation.id).await?.received;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
