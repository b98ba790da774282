//! `pcc.json`: what an archive is, whose, of when, and what it leaves out.
//!
//! It stands in the first kilobytes, so that an importer can tell a person what would come, and refuse what it cannot
//! read, before it reads anything else. Members this version does not know are kept and written again on re-export:
//! an archive that passes through an older provider loses nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The value of `format` in every archive.
pub const FORMAT: &str = "pcc-archive";
/// The version this crate writes, and the newest it reads.
pub const VERSION: Version = Version { major: 1, minor: 0 };
/// The largest `pcc.json` a reader takes, in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The content of `pcc.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// The version of the format it was written in.
    pub version: Version,
    /// The oldest reader that understands it.
    pub min_reader: Version,
    /// `urn:uuid:…`, different for every export.
    pub archive_id: String,
    /// Whether everything is inside.
    pub kind: Kind,
    /// Whose server this is.
    pub subject: Subject,
    /// Of which moment.
    pub snapshot: Snapshot,
    /// For a delta, what it builds on.
    pub base: Option<Value>,
    /// Where it was made.
    pub source: Source,
    /// How much is inside.
    pub counts: Counts,
    /// Which files are sealed, and how they open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// What is not inside, and why.
    #[serde(default)]
    pub omitted: Vec<Omitted>,
    /// How long the old address forwards, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirects: Option<Value>,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A format version, `major.minor`. A reader understands archives whose `minReader` is not newer than itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Changes when older readers would misunderstand.
    pub major: u16,
    /// Changes when something is added that older readers may ignore.
    pub minor: u16,
}

/// A text that is not `major.minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is two whole numbers with a dot between, as in 1.0")]
pub struct VersionError;

/// Whether an archive holds everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Everything is inside.
    Full,
    /// Some files are to be fetched from elsewhere.
    Delta,
}

/// Whose server an archive is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The person's decentralised identifier.
    pub did: String,
    /// The server's address at the time.
    pub domain: String,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The moment an archive is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// RFC 3339, UTC.
    pub at: String,
    /// The server's own count of changes at that moment; a higher number is later.
    pub seq: u64,
    /// `point-in-time` when everything inside is of one moment.
    pub consistency: String,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Where an archive was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The provider's name.
    pub provider: String,
    /// The provider's console.
    pub origin: String,
    /// Name and version of the software that wrote it.
    pub software: String,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How much an archive holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Apps with a folder in `data/apps`.
    pub apps: u64,
    /// Tables over all apps.
    pub tables: u64,
    /// Rows over all tables.
    pub documents: u64,
    /// Files of the person's over all apps.
    pub files: u64,
    /// Sum of the sizes of everything in `data/`; the writer fills it in.
    pub bytes: u64,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Which files are sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Secrets {
    /// `age`.
    pub scheme: String,
    /// Their paths.
    pub files: Vec<String>,
    /// By what they open: `passphrase`, `recipient`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlock: Vec<String>,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Something an archive leaves out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Omitted {
    /// What, in a word or two.
    pub what: String,
    /// Why, in a sentence.
    pub why: String,
    /// Members unknown to this version.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Manifest {
    /// A full, point-in-time archive with nothing counted, sealed or omitted yet.
    #[must_use]
    pub fn full(archive_id: uuid::Uuid, subject: Subject, snapshot: Snapshot, source: Source) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            min_reader: VERSION,
            archive_id: archive_id.urn().to_string(),
            kind: Kind::Full,
            subject,
            snapshot,
            base: None,
            source,
            counts: Counts::default(),
            secrets: None,
            omitted: Vec::new(),
            redirects: None,
            other: Map::new(),
        }
    }
}

impl Subject {
    /// The person with this identifier at this address.
    #[must_use]
    pub fn new(did: impl Into<String>, domain: impl Into<String>) -> Self {
        Self { did: did.into(), domain: domain.into(), other: Map::new() }
    }
}

impl Snapshot {
    /// One moment: the content of the server at `at`, after `seq` changes.
    #[must_use]
    pub fn point_in_time(at: jiff::Timestamp, seq: u64) -> Self {
        let at = at.round(jiff::Unit::Second).unwrap_or(at);
        Self { at: at.to_string(), seq, consistency: "point-in-time".to_owned(), other: Map::new() }
    }
}

impl Source {
    /// The provider with this name and console, running this software.
    #[must_use]
    pub fn new(provider: impl Into<String>, origin: impl Into<String>, software: impl Into<String>) -> Self {
        Self { provider: provider.into(), origin: origin.into(), software: software.into(), other: Map::new() }
    }
}

impl Omitted {
    /// `what` is left out because of `why`.
    #[must_use]
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), other: Map::new() }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (major, minor) = text.split_once('.').ok_or(VersionError)?;
        let number = |digits: &str| {
            let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            digits.parse().ok().filter(|_| plain).ok_or(VersionError)
        };
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
