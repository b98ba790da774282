//! What archives cost, in processor time and memory, beside the tools people would use instead, in one run on one set
//! of data.
//!
//! `cargo run --release -p export-format --example speed -- 500` makes about 500 MiB in some 17,000 files (a third rows,
//! a sixth text, half noise), and tells for each piece of work the processor seconds per gigabyte of that data, the time
//! it took and the most memory this process had. Tools that are not installed are said to be missing.
//!
//! `-- sparse 100` makes and checks an archive of 100 GB of zeros instead, which no disk has to hold.
//!
//! Processor time is read from `/proc`, which counts in hundredths of a second.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use export_format::check::check;
use export_format::digest::{Digest, Summary, Tally};
use export_format::forward;
use export_format::manifest::{Manifest, Snapshot, Source as MadeBy, Subject};
use export_format::packed::{Packer, Stored};
use export_format::plan::{Piece, Plan};
use export_format::reader::{Limits, Reader};
use export_format::sealed::Envelope;
use export_format::signature::{Signer, Trust};
use export_format::source::Source;
use export_format::writer::{Head, Payload, Writer};

const APP: &str = "data/apps/org.example.speed";
const MIB: u64 = 1024 * 1024;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sparse", gigabytes] => sparse(gigabytes.parse()?),
        [] => run(500),
        [mebibytes] => run(mebibytes.parse()?),
        _ => anyhow::bail!("usage: speed [MEBIBYTES | sparse GIGABYTES]"),
    }
}

/// Where an entry's stored bytes are.
#[derive(Debug)]
enum At {
    File(PathBuf),
    Documents(u64),
    Zeros,
}

fn run(mebibytes: u64) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("freehold-speed-{}", std::process::id()));
    let _cleared = Cleared(folder.clone());
    let tree = folder.join("tree");
    let files = generate(&tree, mebibytes)?;
    let size: u64 = files.iter().map(|file| file.size).sum();
    let rows: u64 = files.iter().filter(|file| file.is_document).map(|file| file.size).sum();
    println!("{} bytes in {} files, {rows} bytes of them rows", size, files.len());
    println!("{:<44} {:>9} {:>9} {:>9}", "", "cpu s/GB", "wall s", "peak MiB");
    let whole = |what: &str, work: &mut dyn FnMut() -> Result<()>| measured(what, size, work);

    let mut payload = Vec::new();
    measured("ours: documents (of the rows alone)", rows, &mut || {
        payload = documents(&tree, &files, &folder.join("documents"))?;
        Ok(())
    })?;
    whole("ours: digests of the other files, as at upload", &mut || {
        for file in files.iter().filter(|file| !file.is_document) {
            let path = tree.join(&file.path);
            let summary = summary(&path)?;
            payload.push(Payload { path: file.path.parse()?, summary, stored: Stored::Whole, source: At::File(path) });
        }
        Ok(())
    })?;
    let mut plan = None;
    whole("ours: plan", &mut || {
        plan = Some(lay_out(std::mem::take(&mut payload), &files)?);
        Ok(())
    })?;
    let plan = plan.context("planned")?;
    let documents = File::open(folder.join("documents"))?;
    whole("ours: stream to nowhere", &mut || stream(&plan, &documents, &mut io::sink()))?;
    let archive = folder.join("ours.pcc.zip");
    whole("ours: stream to a file", &mut || stream(&plan, &documents, &mut File::create(&archive)?))?;
    let mut envelope = None;
    whole("ours: a passphrase becomes a key", &mut || {
        envelope = Some(Envelope::for_passphrase("four random words")?.around(plan.len(), &plan.fingerprint()));
        Ok(())
    })?;
    let envelope = envelope.context("made")?;
    whole("ours: stream sealed with age to nowhere", &mut || {
        let mut sealer = Sealing { sealer: envelope.range(0..envelope.len()), out: Vec::new() };
        stream(&plan, &documents, &mut sealer)
    })?;
    whole("ours: strict check", &mut || {
        let report = check(&File::open(&archive)?, &Limits::default(), &Trust::Anyone, &mut |_| {});
        ensure!(report.accepted, "{:?}", report.findings);
        Ok(())
    })?;
    whole("ours: strict check of what flows past", &mut || {
        let report = forward::check(File::open(&archive)?, &Limits::default(), &Trust::Anyone, &mut |_| {});
        ensure!(report.accepted, "{:?}", report.findings);
        Ok(())
    })?;
    whole("ours: strict check and unpack", &mut || unpack(&archive, &folder.join("ours")))?;

    let tool = |what: &str, line: &str| tool(what, line, size, &folder);
    tool("sha256sum", "sha256sum ours.pcc.zip > /dev/null")?;
    tool("openssl sha256", "openssl dgst -sha256 ours.pcc.zip > /dev/null")?;
    tool("cp -r", "cp -r tree copy")?;
    tool("zip -6", "zip -qr -6 z.zip tree")?;
    tool("unzip of zip's", "unzip -q z.zip -d unzipped")?;
    tool("unzip of ours", "unzip -q ours.pcc.zip -d unzipped-ours")?;
    tool("unzip -t of ours", "unzip -tqq ours.pcc.zip")?;
    tool("tar | zstd -1", "tar cf - tree | zstd -q -1 > t.tar.zst")?;
    tool("zstd -d | tar x", "mkdir untarred && zstd -q -dc t.tar.zst | tar xf - -C untarred")?;
    tool("age -r", "age-keygen -o key 2> /dev/null && age -r $(age-keygen -y key) -o ours.age ours.pcc.zip")?;
    let restic = "export RESTIC_PASSWORD=x RESTIC_REPOSITORY=restic;";
    tool("restic backup", &format!("{restic} restic -q init && restic -q backup tree"))?;
    tool("restic restore", &format!("{restic} restic -q restore latest --target restic-out"))?;
    let borg = "export BORG_BASE_DIR=$PWD/borg-base;";
    tool("borg create", &format!("{borg} borg init -e none borg && borg create borg::a tree"))?;
    tool("borg extract", &format!("{borg} mkdir borg-out && cd borg-out && borg extract ../borg::a"))
}

/// The data of a run goes with it.
struct Cleared(PathBuf);

impl Drop for Cleared {
    fn drop(&mut self) {
        // A full temporary folder is seen by who runs this.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Made {
    path: String,
    size: u64,
    /// Rows in it, if it is a segment.
    rows: u64,
    is_document: bool,
}

/// Writes the data: rows in segments as an export cuts them, and files.
fn generate(tree: &Path, mebibytes: u64) -> Result<Vec<Made>> {
    let mut dice = Dice(7);
    let mut files = Vec::new();
    let mut put = |path: String, content: &[u8], is_document: bool| -> Result<()> {
        let at = tree.join(&path);
        fs::create_dir_all(at.parent().context("a path has a folder")?)?;
        fs::write(at, content)?;
        let rows = if is_document { content.iter().filter(|byte| **byte == b'\n').count() as u64 } else { 0 };
        files.push(Made { path, size: content.len() as u64, rows, is_document });
        Ok(())
    };
    let mut segment = String::new();
    let (mut done, mut id, mut number) = (0, 0_u64, 0);
    while done < mebibytes * MIB / 3 {
        while segment.len() < 8_300_000 {
            let (n, price) = (dice.below(1_000_000), dice.below(1_000_000) as f64 / 100.0);
            let text = dice.words(12);
            writeln!(
                segment,
                "{{\"_id\":\"{id:012}\",\"created\":\"2026-11-{:02}T{:02}:00:00Z\",\"done\":{},\"n\":{n},\"price\":{price},\"tags\":[\"{}\",\"{}\"],\"text\":\"{text}\"}}",
                1 + dice.below(28),
                dice.below(24),
                n % 2 == 0,
                dice.words(1),
                dice.words(1)
            )?;
            id += 1;
        }
        done += segment.len() as u64;
        put(format!("{APP}/tables/notes/{number:04}.ndjson"), segment.as_bytes(), true)?;
        segment.clear();
        number += 1;
    }
    let (texts, noises) = (mebibytes * MIB / 6 / 12_000, mebibytes * MIB / 2 / 5_000);
    for nth in 0..12_000 {
        let text = dice.words(texts / 7);
        put(format!("{APP}/files/text/{:02}/{nth}.txt", nth % 64), text.as_bytes(), false)?;
    }
    for nth in 0..5_000 {
        put(format!("{APP}/files/noise/{:02}/{nth}.jpg", nth % 64), &dice.noise(noises), false)?;
    }
    Ok(files)
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }

    fn words(&mut self, count: u64) -> String {
        const WORDS: [&str; 24] = [
            "harbour", "violet", "counts", "seven", "lantern", "north", "copper", "walks", "garden", "letter", "bread",
            "river", "Straße", "window", "always", "paper", "of", "the", "and", "to", "a", "in", "it", "light",
        ];
        let word = |_| WORDS[self.below(24) as usize];
        (0..count.max(1)).map(word).collect::<Vec<_>>().join(" ")
    }

    fn noise(&mut self, len: u64) -> Vec<u8> {
        (0..len / 8 + 1).flat_map(|_| self.next().to_le_bytes()).take(len as usize).collect()
    }
}

/// Deflates the rows into one file, as an export's freeze does.
fn documents(tree: &Path, files: &[Made], to: &Path) -> Result<Vec<Payload<At>>> {
    let mut out = File::create(to)?;
    let mut at = 0;
    let mut packer = Packer::new();
    let (mut payload, mut content) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.is_document) {
        // A freeze makes its segments in one piece of memory.
        content.clear();
        File::open(tree.join(&file.path))?.read_to_end(&mut content)?;
        let (summary, stored, bytes) = packer.pack(&content)?;
        out.write_all(bytes)?;
        payload.push(Payload { path: file.path.parse()?, summary, stored, source: At::Documents(at) });
        at += bytes.len() as u64;
    }
    Ok(payload)
}

fn summary(path: &Path) -> Result<Summary> {
    let mut file = File::open(path)?;
    let mut tally = Tally::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(tally.finish()),
            count => tally.update(&buffer[..count]),
        }
    }
}

fn lay_out(mut payload: Vec<Payload<At>>, files: &[Made]) -> Result<Plan<At>> {
    let mut listed = String::new();
    let mut blobs: Vec<&Payload<At>> = payload.iter().filter(|entry| matches!(entry.source, At::File(_))).collect();
    blobs.sort_by(|a, b| a.path.cmp(&b.path));
    for entry in &blobs {
        let path = entry.path.as_str().strip_prefix(APP).unwrap_or_default().trim_start_matches('/');
        let name = path.rsplit('/').next().unwrap_or_default();
        let Summary { digest, size, .. } = entry.summary;
        writeln!(
            listed,
            "{{\"name\":\"{name}\",\"path\":\"{path}\",\"sha256\":\"{digest}\",\"size\":{size},\"type\":\"image/jpeg\"}}"
        )?;
    }
    let (file_count, segments): (usize, Vec<String>) = (
        blobs.len(),
        files
            .iter()
            .filter(|file| file.is_document)
            .map(|file| file.path.trim_start_matches(APP).trim_start_matches('/').to_owned())
            .collect(),
    );
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let app = serde_json::json!({
        "schema": "pcc/app@1", "id": "org.example.speed", "name": "Speed", "version": "1", "runtime": "static",
        "tables": [{"name": "notes", "count": rows, "segments": segments}],
    });
    let folder = std::env::temp_dir().join(format!("freehold-speed-{}", std::process::id()));
    for (path, content) in [("app.json", app.to_string()), ("files.ndjson", listed)] {
        let at = folder.join(path);
        fs::write(&at, &content)?;
        let summary = Summary::of(content.as_bytes());
        payload.push(Payload {
            path: format!("{APP}/{path}").parse()?,
            summary,
            stored: Stored::Whole,
            source: At::File(at),
        });
    }
    let mut manifest = manifest()?;
    (manifest.counts.apps, manifest.counts.tables) = (1, 1);
    (manifest.counts.files, manifest.counts.documents) = (file_count as u64, rows);
    seal(manifest, payload)
}

fn manifest() -> Result<Manifest> {
    Ok(Manifest::full(
        uuid::Uuid::nil(),
        Subject::new("did:web:speed.example", "speed.example"),
        Snapshot::point_in_time("2026-11-21T07:00:00Z".parse()?, 1),
        MadeBy::new("Speed", "https://speed.example", "speed/1"),
    ))
}

fn seal(manifest: Manifest, payload: Vec<Payload<At>>) -> Result<Plan<At>> {
    let mut writer = Writer::new(Head { manifest, cover: Default::default() });
    for entry in payload {
        writer.add(entry)?;
    }
    Ok(writer.seal(&Signer::from_seed(&[7; 32]))?.into_plan())
}

/// Gives out a whole archive, as a runtime does.
fn stream(plan: &Plan<At>, documents: &File, out: &mut dyn io::Write) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    for piece in plan.range(0..plan.len()) {
        match piece {
            Piece::Inline(bytes) => out.write_all(&bytes)?,
            Piece::Stored { source, range, .. } => {
                let opened;
                let (file, mut at) = match source {
                    At::Documents(start) => (documents, start + range.start),
                    At::File(path) => {
                        opened = File::open(path)?;
                        (&opened, range.start)
                    }
                    At::Zeros => anyhow::bail!("zeros are not streamed"),
                };
                let mut left = range.end - range.start;
                while left > 0 {
                    let part = left.min(buffer.len() as u64) as usize;
                    file.read_exact_at(at, &mut buffer[..part])?;
                    out.write_all(&buffer[..part])?;
                    at += part as u64;
                    left -= part as u64;
                }
            }
        }
    }
    Ok(())
}

struct Sealing {
    sealer: export_format::sealed::Sealer,
    out: Vec<u8>,
}

impl io::Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.clear();
        self.sealer.push(bytes, &mut self.out);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unpack(archive: &Path, to: &Path) -> Result<()> {
    let verified = Reader::open(File::open(archive)?, &Limits::default())?.verify(&Trust::Anyone, &mut |_| {})?;
    fs::create_dir_all(to)?;
    let dir = cap_std::fs::Dir::open_ambient_dir(to, cap_std::ambient_authority())?;
    export_format::directory::extract(&verified, &dir, |_| true, &mut |_| {})?;
    Ok(())
}

/// An archive of zeros, made as it is read.
struct Sparse(Plan<At>);

impl Source for Sparse {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        for piece in self.0.range(offset..offset.saturating_add(buffer.len() as u64)) {
            done += match piece {
                Piece::Inline(bytes) => {
                    buffer[done..done + bytes.len()].copy_from_slice(&bytes);
                    bytes.len()
                }
                Piece::Stored { range, .. } => {
                    let len = (range.end - range.start) as usize;
                    buffer[done..done + len].fill(0);
                    len
                }
            };
        }
        Ok(done)
    }
}

fn sparse(gigabytes: u64) -> Result<()> {
    const FILE: u64 = 1_000_000_000;
    println!("{:<44} {:>9} {:>9} {:>9}", "", "cpu s/GB", "wall s", "peak MiB");
    let block = vec![0; 1 << 20];
    let mut zeros = None;
    measured("digest of a file of 1 GB", FILE, &mut || {
        let mut tally = Tally::new();
        while tally.size() < FILE {
            tally.update(&block[..(FILE - tally.size()).min(1 << 20) as usize]);
        }
        zeros = Some(tally.finish());
        Ok(())
    })?;
    let summary = zeros.unwrap_or(Summary { size: 0, digest: Digest::of(b""), crc32: 0 });
    let payload = (0..gigabytes)
        .map(|nth| {
            Ok(Payload {
                path: format!("data/zeros/{nth:04}").parse()?,
                summary,
                stored: Stored::Whole,
                source: At::Zeros,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let made = Sparse(seal(manifest()?, payload)?);
    measured(&format!("strict check of {} bytes", made.0.len()), gigabytes * FILE, &mut || {
        let report = check(&made, &Limits::default(), &Trust::Anyone, &mut |_| {});
        ensure!(report.accepted, "{:?}", report.findings);
        Ok(())
    })
}

fn tool(what: &str, line: &str, size: u64, folder: &Path) -> Result<()> {
    let program = what.split(' ').next().unwrap_or_default();
    let there = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status()?;
    if !there.success() {
        println!("{what:<44} missing");
        return Ok(());
    }
    measured(what, size, &mut || {
        let status = Command::new("sh").args(["-c", line]).current_dir(folder).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "{line}: {status}");
        Ok(())
    })
}

/// Does `work` and prints what it took for `size` bytes.
fn measured(what: &str, size: u64, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    // Begins the count of the most memory anew.
    fs::write("/proc/self/clear_refs", "5")?;
    let (before, since) = (processor_seconds()?, Instant::now());
    work().with_context(|| what.to_owned())?;
    let spent = processor_seconds()? - before;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    println!(
        "{what:<44} {:>9.2} {:>9.1} {:>9.0}",
        spent / (size as f64 / 1e9),
        since.elapsed().as_secs_f64(),
        peak / 1024.0
    );
    Ok(())
}

/// Processor time of this process and of the children it waited for.
fn processor_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').context("a name in parentheses")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // utime, stime, cutime and cstime, of which the first is the fourteenth field in all.
    let ticks: u64 =
        fields.get(11..15).context("fifteen fields")?.iter().filter_map(|text| text.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}
