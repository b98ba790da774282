//! `freehold-archive create`
//!
//! Documents are deflated twice, once to learn their length and once to write them: that costs time but neither memory
//! nor room on disk, whatever their number.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use export_format::EntryPath;
use export_format::cover::Cover;
use export_format::digest::{Summary, Tally};
use export_format::entry::{Account, App, AppPart, Kind};
use export_format::manifest::{Manifest, Snapshot, Source, Subject};
use export_format::packed::{MAX_DOCUMENT, Packed, Stored};
use export_format::plan::Piece;
use export_format::signature::Signer;
use export_format::writer::{Head, Payload, Writer};

use crate::{Outcome, Place, bar, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The folder that has data/ inside; a pcc.json beside it is taken over, its counts made anew.
    folder: Place,
    /// The archive to make.
    #[arg(short, long)]
    output: Place,
    /// OpenSSH ed25519 private key to sign with; without one, a key is made for this archive alone.
    #[arg(long, value_name = "FILE")]
    key: Option<Place>,
    /// The server's address, when there is no pcc.json.
    #[arg(long)]
    domain: Option<String>,
    /// The provider's name, when there is no pcc.json.
    #[arg(long, default_value = "none")]
    provider: String,
    /// The moment the content is of (RFC 3339), when there is no pcc.json; now by default.
    #[arg(long)]
    at: Option<jiff::Timestamp>,
}

/// Where an entry's stored bytes come from.
#[derive(Debug)]
pub(crate) enum From {
    /// A file.
    Disk { path: PathBuf, deflated: bool },
    /// Here they are.
    Memory(bytes::Bytes),
}

impl Create {
    pub(crate) fn run(&self, json: bool) -> anyhow::Result<Outcome> {
        let mut writer = Writer::new(Head { manifest: self.manifest()?, cover: Cover::default() });
        let mut paths = Vec::new();
        walk(&self.folder.join("data"), "data", &mut paths)?;
        ensure!(!paths.is_empty(), "{} has nothing in data/", self.folder.display());
        paths.sort();
        let reading = bar("reading");
        reading.set_length(paths.len() as u64);
        for path in paths {
            self.add(&mut writer, path)?;
            reading.inc(1);
        }
        reading.finish_and_clear();
        write(writer, self.key.as_deref(), &self.output, json)
    }

    fn manifest(&self) -> anyhow::Result<Manifest> {
        let path = self.folder.join("pcc.json");
        if path.exists() {
            let text = std::fs::read(&path)?;
            let mut manifest: Manifest =
                serde_json::from_slice(&text).with_context(|| format!("{} is no pcc.json", path.display()))?;
            manifest.counts = Default::default();
            return Ok(manifest);
        }
        let Some(domain) = &self.domain else {
            bail!("there is no pcc.json in {}; give --domain", self.folder.display())
        };
        let at = self.at.unwrap_or_else(jiff::Timestamp::now);
        Ok(Manifest::full(
            uuid::Uuid::new_v4(),
            Subject::new(format!("did:web:{domain}"), domain),
            Snapshot::point_in_time(at, 0),
            Source::new(&self.provider, "", concat!("freehold-archive/", env!("CARGO_PKG_VERSION"))),
        ))
    }

    fn add(&self, writer: &mut Writer<export_format::writer::Open<From>>, path: EntryPath) -> anyhow::Result<()> {
        let disk = self.folder.join(path.as_str());
        let context = || format!("{} could not be read", disk.display());
        let (summary, stored) = if is_document(&path, &disk)? {
            let content = std::fs::read(&disk).with_context(context)?;
            count(writer, &path, &content)?;
            let packed = Packed::document(&content)?;
            (packed.summary, packed.stored)
        } else {
            (measure(&disk)?, Stored::Whole)
        };
        if let Kind::App(_, AppPart::File(_)) = Kind::of(&path) {
            writer.manifest_mut().counts.files += 1;
        }
        let deflated = matches!(stored, Stored::Deflated { .. });
        writer.add(Payload { path, summary, stored, source: From::Disk { path: disk, deflated } })?;
        Ok(())
    }
}

/// What is deflated: all but the person's own files, volumes and sealed files, if it is short enough.
fn is_document(path: &EntryPath, disk: &Path) -> anyhow::Result<bool> {
    let own = matches!(Kind::of(path), Kind::App(_, AppPart::File(_) | AppPart::Volume) | Kind::Sealed)
        || path.as_str().ends_with(".age");
    Ok(!own && std::fs::metadata(disk)?.len() <= MAX_DOCUMENT as u64)
}

/// Adds to the counts and the page what a document tells.
fn count(
    writer: &mut Writer<export_format::writer::Open<From>>,
    path: &EntryPath,
    content: &[u8],
) -> anyhow::Result<()> {
    match Kind::of(path) {
        Kind::Account => {
            if let Ok(account) = serde_json::from_slice::<Account>(content) {
                writer.cover_mut().owner = account.display_name;
            }
        }
        Kind::App(id, AppPart::App) => {
            let app: App = serde_json::from_slice(content).with_context(|| format!("{path} is no app.json"))?;
            let counts = &mut writer.manifest_mut().counts;
            counts.apps += 1;
            counts.tables += app.tables.len() as u64;
            counts.documents += app.tables.iter().map(|table| table.count).sum::<u64>();
            writer.cover_mut().apps.insert(id.to_owned(), app.name);
        }
        _ => {}
    }
    Ok(())
}

fn walk(folder: &Path, prefix: &str, paths: &mut Vec<EntryPath>) -> anyhow::Result<()> {
    let listed = std::fs::read_dir(folder).with_context(|| format!("{} could not be listed", folder.display()))?;
    for item in listed {
        let item = item?;
        let name = item.file_name();
        let Some(name) = name.to_str() else { bail!("{} has a name that is not UTF-8", item.path().display()) };
        let path = format!("{prefix}/{name}");
        let kind = item.file_type()?;
        if kind.is_dir() {
            walk(&item.path(), &path, paths)?;
        } else if kind.is_file() {
            paths.push(path.parse().with_context(|| format!("{path} cannot stand in an archive"))?);
        } else {
            bail!("{path} is neither a file nor a folder");
        }
    }
    Ok(())
}

/// Signs and writes an archive, and says so.
pub(crate) fn write(
    writer: Writer<export_format::writer::Open<From>>,
    key: Option<&Path>,
    output: &Path,
    json: bool,
) -> anyhow::Result<Outcome> {
    let signer = match key {
        None => Signer::random(),
        Some(path) => crate::sign::signer(path)?,
    };
    let sealed = writer.seal(&signer)?;
    let plan = sealed.plan();
    let mut out = File::create_new(output).with_context(|| format!("{} could not be made", output.display()))?;
    let writing = bar("writing");
    writing.set_length(plan.len());
    for piece in plan.range(0..plan.len()) {
        match piece {
            Piece::Inline(bytes) => {
                out.write_all(&bytes)?;
                writing.inc(bytes.len() as u64);
            }
            Piece::Stored { path, source, range } => {
                copy(source, range.clone(), &mut out).with_context(|| format!("{path} could not be written"))?;
                writing.inc(range.end - range.start);
            }
        }
    }
    out.sync_all()?;
    writing.finish_and_clear();
    if json {
        say(
            serde_json::json!({ "bytes": plan.len(), "entries": plan.entries(), "signedBy": signer.public().to_string() }),
        );
    } else {
        say(format_args!(
            "{}: {} bytes, {} entries, signed by {}",
            output.display(),
            plan.len(),
            plan.entries(),
            signer.public()
        ));
    }
    Ok(Outcome::Good)
}

/// What an archive must know of a file.
pub(crate) fn measure(disk: &Path) -> anyhow::Result<Summary> {
    let context = || format!("{} could not be read", disk.display());
    let mut tally = Tally::new();
    let mut file = File::open(disk).with_context(context)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).with_context(context)? {
            0 => return Ok(tally.finish()),
            count => tally.update(&buffer[..count]),
        }
    }
}

fn copy(source: &From, range: std::ops::Range<u64>, out: &mut File) -> anyhow::Result<()> {
    let (from, to) = (range.start as usize, range.end as usize);
    match source {
        From::Memory(bytes) => out.write_all(bytes.get(from..to).context("a document changed meanwhile")?)?,
        From::Disk { path, deflated: true } => {
            let packed = Packed::document(&std::fs::read(path)?)?;
            out.write_all(packed.bytes.get(from..to).context("the file changed meanwhile")?)?;
        }
        From::Disk { path, deflated: false } => {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(range.start))?;
            let wanted = range.end - range.start;
            ensure!(io::copy(&mut file.take(wanted), out)? == wanted, "the file changed meanwhile");
        }
    }
    Ok(())
}
