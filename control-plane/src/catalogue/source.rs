//! Where a catalogue lies: a folder, or a web address.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use url::Url;

use super::error::Error;
use super::fetch;

/// A place to read a catalogue's files from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Folder(PathBuf),
    /// Ends with a slash, so that relative paths go below it.
    Web(Url),
}

impl Source {
    /// Reads one file of at most `limit` bytes. `path` is one that `is_plain_path` accepts.
    pub(super) async fn read(&self, path: &str, limit: u64) -> Result<Bytes, Error> {
        match self {
            Self::Folder(folder) => {
                let (folder, path) = (folder.clone(), path.to_owned());
                tokio::task::spawn_blocking(move || read_folder(&folder, &path, limit))
                    .await
                    .expect("reading a file does not panic")
            }
            Self::Web(base) => {
                let url = base.join(path).map_err(|_| Error::Index { why: format!("{path:?} is no path") })?;
                fetch::get(&url, limit).await
            }
        }
    }
}

/// Reads one file of a folder.
pub(super) fn read_folder(folder: &Path, path: &str, limit: u64) -> Result<Bytes, Error> {
    let path = folder.join(path);
    let failed = |source| Error::Read { path: path.clone(), source };
    let mut bytes = Vec::new();
    File::open(&path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { what: path.display().to_string(), limit });
    }
    Ok(bytes.into())
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let text = text.strip_suffix("index.json").unwrap_or(text);
            let slashed = if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
            let url = Url::parse(&slashed).map_err(|_| Error::Source { text: text.to_owned() })?;
            return Ok(Self::Web(url));
        }
        let path = PathBuf::from(text);
        if path.is_dir() { Ok(Self::Folder(path)) } else { Err(Error::Source { text: text.to_owned() }) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Web(url) => write!(f, "{url}"),
        }
    }
}
