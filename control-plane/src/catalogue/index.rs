//! The index: what `index.json` says, and the rules an index must keep before anything in it is believed.

use export_format::AppId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Error;

/// The largest index that is read.
pub(super) const MAX_BYTES: u64 = 8 << 20;

/// What `format` says in every index.
pub(super) const FORMAT: &str = "freehold-catalogue";

/// The version of the format this program writes, and the newest it reads.
pub(super) const VERSION: u32 = 1;

/// The signed list of apps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Always `freehold-catalogue`.
    pub format: String,
    /// Version of this format.
    pub version: u32,
    /// When it was made, in Unix milliseconds.
    pub made: i64,
    /// The apps, ordered by id.
    pub apps: Vec<Listing>,
}

/// One app as the catalogue shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The app's id.
    pub id: AppId,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One or two sentences.
    pub description: String,
    /// Words to sort it under.
    #[serde(default)]
    pub categories: Vec<String>,
    /// What it asks for beyond its own data, in plain words.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// What is new in this version.
    #[serde(default)]
    pub changes: String,
    /// Path of the icon, relative to the index.
    pub icon: String,
    /// Digest of the icon, lower-case hex.
    pub icon_sha256: String,
    /// Path of the package, relative to the index.
    pub package: String,
    /// Size of the package in bytes.
    pub size: u64,
    /// Digest of the package, lower-case hex.
    pub sha256: String,
    /// The fingerprint of the key by which its maker signed the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// To how many in a hundred servers this version comes by itself.
    #[serde(default = "everybody", skip_serializing_if = "is_everybody")]
    pub rollout: u8,
    /// Versions that do harm: they open nowhere any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Revocation>,
}

/// A version that does harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Which.
    pub version: String,
    /// Why, in a sentence for people.
    pub why: String,
}

fn everybody() -> u8 {
    100
}

fn is_everybody(rollout: &u8) -> bool {
    *rollout >= 100
}

/// Something an app asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The name the manifest gives it.
    pub name: String,
    /// What it allows, in plain words.
    pub allows: String,
    /// Why the app asks, in its maker's words.
    #[serde(default)]
    pub why: String,
}

impl Index {
    /// Reads an index whose signature has been checked, and refuses paths that lead out of the catalogue.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |why: String| Error::Index { why };
        let index: Self = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        if index.format != FORMAT {
            return Err(refuse(format!("its format is {:?}, not {FORMAT:?}", index.format)));
        }
        if index.version > VERSION {
            return Err(refuse(format!("it is of version {}, and this program reads up to {VERSION}", index.version)));
        }
        for (position, listing) in index.apps.iter().enumerate() {
            for path in [&listing.package, &listing.icon] {
                if !is_plain_path(path) {
                    return Err(refuse(format!("{path:?} is no plain relative path")));
                }
            }
            if index.apps[..position].iter().any(|other| other.id == listing.id) {
                return Err(refuse(format!("{} stands in it twice", listing.id)));
            }
        }
        Ok(index)
    }

    /// The bytes that are signed and stored: readable, and the same for the same content.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("an index is strings and numbers only");
        bytes.push(b'\n');
        bytes
    }
}

/// Whether a path stays below the folder it is resolved against, on every system and as a URL.
pub(super) fn is_plain_path(path: &str) -> bool {
    path.len() <= 200
        && path.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        })
}

/// The sha256 of some bytes as lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Refuses bytes that do not have the digest the index names.
pub(super) fn check_digest(what: &str, bytes: &[u8], expected: &str) -> Result<(), Error> {
    let found = sha256(bytes);
    if found == expected { Ok(()) } else { Err(Error::Digest { what: what.to_owned(), found }) }
}

#[cfg(test)]
mod tests {
    use super::is_plain_path;

    #[test]
    fn only_paths_below_the_catalogue_are_plain() {
        assert!(is_plain_path("packages/org.freehold.notes-1.0.0.zip"));
        for bad in
            ["", "/etc/passwd", "../index.json", "a//b", "a/./b", "http://x/y", "a\\b", "a b", "%2e%2e/x", ".hidden"]
        {
            assert!(!is_plain_path(bad), "{bad}");
        }
    }
}
