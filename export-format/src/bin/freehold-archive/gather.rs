//! `freehold-archive gather`
//!
//! Any folder becomes an archive that a server takes in. Its files are those of one app; names that cannot stand in an archive
//! are made safe, and the true ones are kept beside them. What is neither a file nor a folder stays behind, and the archive says
//! so; links are not followed, so nothing outside the folder comes along.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use export_format::AppId;
use export_format::cover::Cover;
use export_format::entry::{ACCOUNT_SCHEMA, APP_SCHEMA, Account, App, FileRow, files_segment};
use export_format::manifest::{Manifest, Omitted, Snapshot, Source, Subject};
use export_format::packed::{Packed, Stored};
use export_format::path::Namer;
use export_format::row::{Segments, Value};
use export_format::writer::{Head, Open, Payload, Writer};
use serde_json::Map;

use crate::create::{From, measure, write};
use crate::{Outcome, Place, bar};

#[derive(Debug, clap::Args)]
pub(crate) struct Gather {
    /// The folder.
    folder: Place,
    /// The archive to make.
    #[arg(short, long)]
    output: Place,
    /// The app whose files they become.
    #[arg(long, default_value = "org.freehold.folder")]
    app: AppId,
    /// OpenSSH ed25519 private key to sign with; without one, a key is made for this archive alone.
    #[arg(long, value_name = "FILE")]
    key: Option<Place>,
    /// The address to write down as where it comes from.
    #[arg(long, default_value = "folder.invalid")]
    domain: String,
    /// The moment the content is of (RFC 3339); now by default.
    #[arg(long)]
    at: Option<jiff::Timestamp>,
}

/// What is found in the folder.
#[derive(Default)]
struct Found {
    /// True paths, with `/` between names, and where each is.
    files: Vec<(String, PathBuf)>,
    /// Names that are no UTF-8 and were written otherwise.
    odd: u64,
    /// Links, devices and the like.
    others: u64,
}

impl Gather {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let folder = std::fs::canonicalize(&self.folder)
            .with_context(|| format!("{} could not be opened", self.folder.display()))?;
        ensure!(folder.is_dir(), "{} is not a folder", self.folder.display());
        // The archive may be made within the folder; it does not come into itself.
        let output = std::path::absolute(&self.output)?;
        ensure!(!output.exists(), "{} is there already", self.output.display());
        let mut found = Found::default();
        walk(&folder, "", &mut found)?;
        found.files.sort();
        let name = folder.file_name().map_or("Folder".into(), |name| name.to_string_lossy());
        let mut writer = Writer::new(Head { manifest: self.manifest(&found), cover: Cover::default() });
        let root = format!("data/apps/{}", self.app);
        let (mut namer, mut segments, mut lists) =
            (Namer::new(&format!("{root}/files"))?, Segments::default(), Vec::new());
        let reading = bar("reading");
        reading.set_length(found.files.len() as u64);
        for (truly, disk) in found.files {
            let row = self.file(&mut writer, &mut namer, &root, &truly, disk)?;
            lists.extend(segments.push(&row, &row));
            reading.inc(1);
        }
        reading.finish_and_clear();
        lists.extend(segments.finish());
        for (index, list) in lists.iter().enumerate() {
            document(&mut writer, &format!("{root}/{}", files_segment(index)), list)?;
        }
        let app = App {
            schema: APP_SCHEMA.to_owned(),
            id: self.app.clone(),
            name: name.clone().into_owned(),
            version: String::new(),
            runtime: "data".to_owned(),
            tables: Vec::new(),
            other: Map::new(),
        };
        document(&mut writer, &format!("{root}/app.json"), &serde_json::to_vec_pretty(&app)?)?;
        let account = Account {
            schema: ACCOUNT_SCHEMA.to_owned(),
            id: format!("did:web:{}", self.domain),
            handle: self.domain.clone(),
            display_name: name.clone().into_owned(),
            created: None,
            other: Map::new(),
        };
        document(&mut writer, "data/account.json", &serde_json::to_vec_pretty(&account)?)?;
        writer.manifest_mut().counts.apps = 1;
        writer.cover_mut().owner = name.clone().into_owned();
        writer.cover_mut().apps.insert(self.app.to_string(), name.into_owned());
        write(writer, self.key.as_deref(), &output, json)
    }

    fn manifest(&self, found: &Found) -> Manifest {
        let mut manifest = Manifest::full(
            uuid::Uuid::new_v4(),
            Subject::new(format!("did:web:{}", self.domain), &self.domain),
            Snapshot::point_in_time(self.at.unwrap_or_else(jiff::Timestamp::now), 0),
            Source::new("none", "", concat!("freehold-archive/", env!("CARGO_PKG_VERSION"))),
        );
        for (count, what, why) in [
            (found.others, "links and what else is no file", "only files and folders come along"),
            (found.odd, "the true names of some files", "they are not UTF-8, and were written as near as can be"),
        ] {
            if count > 0 {
                manifest.omitted.push(Omitted::new(format!("{what} ({count})"), why));
            }
        }
        manifest
    }

    /// Takes a file in, and yields what is said of it.
    fn file(
        &self,
        writer: &mut Writer<Open<From>>,
        namer: &mut Namer,
        root: &str,
        truly: &str,
        disk: PathBuf,
    ) -> anyhow::Result<String> {
        let (summary, modified) = (measure(&disk)?, std::fs::metadata(&disk)?.modified()?);
        let modified = jiff::Timestamp::try_from(modified)?.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let path = namer.place(truly);
        let within = path.as_str()[root.len() + 1..].to_owned();
        let mut row = FileRow {
            name: truly.rsplit('/').next().unwrap_or(truly).to_owned(),
            sha256: summary.digest,
            size: summary.size,
            media_type: media_type(truly).to_owned(),
            created: Some(modified.clone()),
            modified: Some(modified),
            other: Map::new(),
            path: within,
        };
        if row.path.strip_prefix("files/") != Some(truly) {
            row.other.insert("truePath".to_owned(), truly.into());
        }
        writer.add(Payload {
            path,
            summary,
            stored: Stored::Whole,
            source: From::Disk { path: disk, deflated: false },
        })?;
        writer.manifest_mut().counts.files += 1;
        Ok(Value::from_stored(&serde_json::to_string(&row)?)?.to_row())
    }
}

/// What a file is, by the end of its name, for the kinds that people have most of.
fn media_type(name: &str) -> &'static str {
    let end = name.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end.to_ascii_lowercase());
    match end.as_deref().unwrap_or_default() {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        _ => "application/octet-stream",
    }
}

fn document(writer: &mut Writer<Open<From>>, path: &str, content: &[u8]) -> anyhow::Result<()> {
    let Packed { summary, stored, bytes } = Packed::document(content)?;
    writer.add(Payload { path: path.parse()?, summary, stored, source: From::Memory(bytes) })?;
    Ok(())
}

fn walk(folder: &Path, prefix: &str, found: &mut Found) -> anyhow::Result<()> {
    let listed = std::fs::read_dir(folder).with_context(|| format!("{} could not be listed", folder.display()))?;
    for item in listed {
        let item = item?;
        let name = item.file_name();
        found.odd += u64::from(name.to_str().is_none());
        let path = format!("{prefix}{}", name.to_string_lossy());
        let kind = item.file_type()?;
        if kind.is_dir() {
            walk(&item.path(), &format!("{path}/"), found)?;
        } else if kind.is_file() {
            found.files.push((path, item.path()));
        } else {
            found.others += 1;
        }
    }
    Ok(())
}
