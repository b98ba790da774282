//! What the commands share: opening an archive with the keys and limits given, and writing a file whole or not at all.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use export_format::finding::Refusal;
use export_format::reader::{Limits, Reader, Unverified};
use export_format::sealed::{self, Key, START, SealedError, Unlocked};
use export_format::signature::{SigningKey, Trust};

use crate::{LimitArguments, Outcome, TrustArguments};

/// What opens a sealed archive.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArguments {
    /// Open a sealed archive with the passphrase that is the first line of this file; "-" reads it from standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    passphrase_file: Option<PathBuf>,
    /// Open a sealed archive with the age identity in this file.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// What was read, for commands that open several archives.
    #[arg(skip)]
    read: OnceCell<Option<Key>>,
}

impl KeyArguments {
    pub(crate) fn key(&self) -> anyhow::Result<Option<Key>> {
        match self.read.get() {
            Some(key) => Ok(key.clone()),
            None => self.read_key().map(|key| self.read.get_or_init(|| key).clone()),
        }
    }

    fn read_key(&self) -> anyhow::Result<Option<Key>> {
        if let Some(file) = &self.passphrase_file {
            return Ok(Some(Key::passphrase(passphrase(file)?)));
        }
        let Some(file) = &self.identity else { return Ok(None) };
        let text = std::fs::read_to_string(file).with_context(|| format!("{} could not be read", file.display()))?;
        let identity = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1"));
        let identity = identity.with_context(|| format!("{} holds no age identity", file.display()))?;
        Ok(Some(Key::Identity(identity.to_owned())))
    }
}

/// The first line of a file, or of standard input for "-".
pub(crate) fn passphrase(file: &Path) -> anyhow::Result<String> {
    let mut line = String::new();
    if file.as_os_str() == "-" {
        io::stdin().lock().read_line(&mut line)
    } else {
        File::open(file).map(io::BufReader::new).and_then(|mut file| file.read_line(&mut line))
    }
    .with_context(|| format!("the passphrase could not be read from {}", file.display()))?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    anyhow::ensure!(!line.is_empty(), "the passphrase in {} is empty", file.display());
    Ok(line)
}

/// The bytes of an archive in a file.
pub(crate) type Bytes = sealed::Bytes<File>;

pub(crate) fn file(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("{} could not be opened", path.display()))
}

/// The bytes of the archive at `path`, opened with the key if it is sealed.
pub(crate) fn bytes(path: &Path, opens: &KeyArguments) -> anyhow::Result<Result<Bytes, SealedError>> {
    let file = file(path)?;
    let mut start = Vec::new();
    let read = (&file).take(START as u64).read_to_end(&mut start);
    read.with_context(|| format!("{} could not be read", path.display()))?;
    if !export_format::secrets::is_sealed(&start) {
        return Ok(Bytes::new(file, None));
    }
    let key = opens.key()?;
    let key = key.with_context(|| format!("{} is sealed; give --passphrase-file or --identity", path.display()))?;
    Ok(Unlocked::with(&start, &key).and_then(|unlocked| Bytes::new(file, Some(&unlocked))))
}

/// The archive at `path`, its list of entries read.
pub(crate) fn archive(
    path: &Path,
    opens: &KeyArguments,
    limits: &Limits,
) -> anyhow::Result<Result<Reader<Bytes, Unverified>, Refusal>> {
    Ok(match bytes(path, opens)? {
        Ok(bytes) => Reader::open(bytes, limits),
        Err(why) => Err(Refusal::from(why)),
    })
}

/// A file that gets its name when it is whole.
#[derive(Debug)]
pub(crate) struct New {
    file: Option<File>,
    name: PathBuf,
    part: PathBuf,
}

impl New {
    /// Begins a file that does not exist yet.
    pub(crate) fn create(name: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(!name.exists(), "{} exists already", name.display());
        let mut part = name.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).with_context(|| format!("{} could not be made", part.display()))?;
        Ok(Self { file: Some(file), name: name.to_owned(), part })
    }

    /// The file is whole.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let file = self.file.take().context("a file is finished once")?;
        file.sync_all()?;
        std::fs::rename(&self.part, &self.name)
            .with_context(|| format!("{} could not be given its name", self.part.display()))
    }
}

impl Write for New {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Err(io::ErrorKind::NotConnected.into()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Half a file is of no use; that it stays behind is seen by its name.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// Prints why an archive is refused.
pub(crate) fn refused(refusal: &Refusal, json: bool) -> anyhow::Result<Outcome> {
    if json {
        crate::say(serde_json::to_string_pretty(
            &serde_json::json!({ "accepted": false, "findings": refusal.findings.list() }),
        )?);
    } else {
        for finding in refusal.findings.list() {
            crate::say(finding);
        }
        crate::say("Refused.");
    }
    Ok(Outcome::Bad)
}

impl LimitArguments {
    pub(crate) fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits { bytes: self.max_bytes.unwrap_or(usual.bytes), entries: self.max_entries.unwrap_or(usual.entries) }
    }
}

impl TrustArguments {
    pub(crate) fn trust(&self) -> anyhow::Result<Trust> {
        if self.signed_by.is_empty() {
            return Ok(Trust::Anyone);
        }
        self.signed_by.iter().map(|given| key(given)).collect::<anyhow::Result<_>>().map(Trust::Keys)
    }
}

fn key(given: &str) -> anyhow::Result<SigningKey> {
    let text = if given.starts_with("ssh-ed25519 ") {
        given.to_owned()
    } else {
        std::fs::read_to_string(given).with_context(|| format!("the key file {given} could not be read"))?
    };
    text.parse().with_context(|| format!("{given} is no ed25519 public key"))
}
