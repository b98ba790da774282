//! Reading an app package: a zip from anywhere, taken apart with suspicion.
//!
//! Sizes a zip declares are never trusted: what is unpacked is counted. Names that could lead outside, links, and two
//! entries of one name are refused as a whole; a package is either taken entirely or not at all.

use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::sync::Arc;

use export_format::{AppId, Digest};
use zip::ZipArchive;

use super::manifest::Manifest;

/// How large a package may be, packed.
pub const PACKED_LIMIT: u64 = 32 * 1024 * 1024;
/// How large it may be, unpacked.
pub(super) const UNPACKED_LIMIT: u64 = 128 * 1024 * 1024;
/// How large one of its files may be.
pub(super) const FILE_LIMIT: u64 = 16 * 1024 * 1024;
/// How many files it may have.
pub(super) const FILES_LIMIT: usize = 5_000;
/// The name of the manifest.
const MANIFEST: &str = "manifest.json";

/// Why a package was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not a zip, or a broken one.
    #[error("The package is not a readable zip file ({0}).")]
    Unreadable(String),
    /// Too much of something.
    #[error("The package is too large: {0}.")]
    TooLarge(&'static str),
    /// A name that is not a plain relative path.
    #[error("The package has a file named {0:?}, which is not a plain path.")]
    Name(String),
    /// A symbolic link or another special file.
    #[error("The package has {0:?}, which is a link or a special file.")]
    Special(String),
    /// Two entries of one name.
    #[error("The package lists a file twice.")]
    Twice,
    /// An encrypted entry.
    #[error("The package is encrypted.")]
    Encrypted,
    /// Nothing to show.
    #[error("The package has neither a manifest.json nor an index.html at its top.")]
    Empty,
    /// Signed, and then changed.
    #[error("The package was changed after its maker signed it: {0}. Get it anew from where it came.")]
    Tampered(#[from] export_format::package::Broken),
    /// An identifier that cannot be an app's.
    #[error("The manifest's identifier {given:?} cannot be used: {why}.")]
    Identifier {
        /// What the manifest says.
        given: String,
        /// What is wrong with it.
        why: export_format::ident::AppIdError,
    },
    /// An identifier that names the server's own tables of people.
    #[error(
        "The manifest's identifier {0} is kept for the server itself: names that begin with dev.ceps are no app's."
    )]
    Kept(AppId),
}

/// A package whose names are sound. Its files are unpacked one by one.
pub struct Package {
    archive: ZipArchive<Cursor<Bytes>>,
    files: Vec<(usize, String)>,
    unpacked: u64,
    manifest: String,
    /// The app's id.
    pub id: AppId,
    /// What the app says about itself.
    pub read: Manifest,
}

#[derive(Clone)]
struct Bytes(Arc<[u8]>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Package {
    /// Looks through a package. Blocks; bounded by the limits above.
    pub fn open(bytes: Arc<[u8]>) -> Result<Self, Refused> {
        if bytes.len() as u64 > PACKED_LIMIT {
            return Err(Refused::TooLarge("it has more than 32 MB"));
        }
        let digest = Digest::of(&bytes).to_string();
        let listed = listed(&bytes);
        let mut archive = ZipArchive::new(Cursor::new(Bytes(bytes))).map_err(unreadable)?;
        // The reader keeps the last of several entries of one name; another reader would show another one.
        if listed.is_some_and(|listed| listed != archive.len()) {
            return Err(Refused::Twice);
        }
        let mut files = names(&mut archive)?;
        let root = root(&files);
        files.retain_mut(|(_, name)| match name.strip_prefix(&root) {
            Some(rest) => {
                *name = rest.to_owned();
                true
            }
            None => false,
        });
        let mut package = Self {
            archive,
            files,
            unpacked: 0,
            manifest: String::new(),
            id: nobody(&digest),
            read: Manifest::default(),
        };
        package.read_manifest()?;
        Ok(package)
    }

    fn read_manifest(&mut self) -> Result<(), Refused> {
        let at = self.files.iter().find(|(_, name)| name == MANIFEST).map(|(index, _)| *index);
        if let Some(index) = at {
            let bytes = self.unpack(index)?;
            self.manifest = String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned();
            self.read = Manifest::read(&self.manifest);
        } else if !self.files.iter().any(|(_, name)| name == "index.html") {
            return Err(Refused::Empty);
        }
        if let Some(given) = &self.read.identifier {
            let parsed = given.to_lowercase().parse();
            self.id = parsed.map_err(|why| Refused::Identifier { given: given.clone(), why })?;
            if self.id.as_str().starts_with("dev.ceps.") {
                return Err(Refused::Kept(self.id.clone()));
            }
        }
        Ok(())
    }

    /// The manifest's text; `{}` when there is none that can be read.
    #[must_use]
    pub fn manifest(&self) -> String {
        match serde_json::from_str::<serde_json::Value>(&self.manifest) {
            Ok(value) if value.is_object() => value.to_string(),
            _ => "{}".to_owned(),
        }
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Unpacks the file of a position. Blocks.
    pub fn file(&mut self, position: usize) -> Result<(String, Vec<u8>), Refused> {
        let (index, name) = self.files[position].clone();
        Ok((name, self.unpack(index)?))
    }

    fn unpack(&mut self, index: usize) -> Result<Vec<u8>, Refused> {
        let room = FILE_LIMIT.min(UNPACKED_LIMIT - self.unpacked);
        let mut bytes = Vec::new();
        let file = self.archive.by_index(index).map_err(unreadable)?;
        file.take(room + 1).read_to_end(&mut bytes).map_err(|error| Refused::Unreadable(error.to_string()))?;
        if bytes.len() as u64 > room {
            return Err(Refused::TooLarge("a file has more than 16 MB, or all together more than 128 MB"));
        }
        self.unpacked += bytes.len() as u64;
        Ok(bytes)
    }
}

fn unreadable(error: zip::result::ZipError) -> Refused {
    Refused::Unreadable(error.to_string())
}

/// How many entries a zip says it lists, as long as that stands in its last record.
fn listed(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).rposition(|mark| mark == b"PK\x05\x06")?;
    let count = bytes.get(end + 10..end + 12)?;
    let count = u16::from_le_bytes([count[0], count[1]]);
    (count != u16::MAX).then_some(count.into())
}

/// An id for a package that does not say whose it is: the same package gets the same one again.
fn nobody(digest: &str) -> AppId {
    format!("local.site.s{}", &digest[..12]).parse().expect("letters and digits")
}

fn names(archive: &mut ZipArchive<Cursor<Bytes>>) -> Result<Vec<(usize, String)>, Refused> {
    if archive.len() > FILES_LIMIT {
        return Err(Refused::TooLarge("it has more than 5,000 files"));
    }
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(unreadable)?;
        let name = file.name().to_owned();
        if file.encrypted() {
            return Err(Refused::Encrypted);
        }
        if file.unix_mode().is_some_and(|mode| !matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000)) {
            return Err(Refused::Special(name));
        }
        if !is_plain(name.strip_suffix('/').unwrap_or(&name)) {
            return Err(Refused::Name(name));
        }
        if name.ends_with('/') || is_litter(&name) {
            continue;
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(Refused::Twice);
        }
        files.push((index, name));
    }
    Ok(files)
}

fn is_plain(name: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..");
    name.len() <= 512 && name.split('/').all(part) && !name.chars().any(|c| c.is_control() || c == '\\' || c == ':')
}

/// What operating systems leave in zips.
fn is_litter(name: &str) -> bool {
    name.starts_with("__MACOSX/") || matches!(name.rsplit('/').next(), Some(".DS_Store" | "Thumbs.db"))
}

/// The folder the app lies in: the top, or the one folder everything is in.
fn root(files: &[(usize, String)]) -> String {
    let at_top = |file: &str| files.iter().any(|(_, name)| name == file);
    if at_top(MANIFEST) || at_top("index.html") {
        return String::new();
    }
    let first = files.first().and_then(|(_, name)| name.split_once('/')).map(|(folder, _)| format!("{folder}/"));
    first.filter(|folder| files.iter().all(|(_, name)| name.starts_with(folder))).unwrap_or_default()
}
