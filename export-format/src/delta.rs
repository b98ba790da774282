//! Deltas: what of an archive a receiver lacks who has an earlier one.
//!
//! Sending everything anew each night, or once more at the end of a move, costs what everything weighs. A delta carries
//! the new archive's own files (so its manifest and its signature), the content that changed, and a list of what the
//! receiver takes from the archive it has, by digest. What comes of it is the new archive, byte for byte.
//!
//! Invariants:
//! - Nothing is fetched from anywhere but the archive the delta names; an address in it is a refusal.
//! - Nothing of a delta is taken by its own word. What comes of it is an archive like any other, verified by
//!   [`Reader::verify`](crate::reader::Reader::verify) under the full archive's signature before it is given out.
//! - Where the base is verified itself, [`Delta::apply_verified`] verifies the same by reading only what the delta carries.
//! - Nothing is put together on disk: the full archive's bytes are taken from the two files as they are asked for.
//!
//! Fails by [`Refusal`](crate::finding::Refusal) when reading, by [`DeltaError`] when writing.
//!
//! ```no_run
//! use std::fs::File;
//! use export_format::delta::{self, Delta};
//! use export_format::reader::{Limits, Reader};
//! use export_format::signature::{Signer, Trust};
//! # let signer = Signer::from_seed(&[7; 32]);
//! let limits = Limits { bytes: 10_000_000_000, ..Limits::default() };
//!
//! // Whoever has both archives writes what changed …
//! let monday = Reader::open(File::open("monday.pcc.zip")?, &limits)?;
//! let tuesday = Reader::open(File::open("tuesday.pcc.zip")?, &limits)?.verify(&Trust::Anyone, &mut |_| {})?;
//! let plan = delta::between(&monday, &tuesday, &signer)?;
//! println!("{} bytes instead of {}", plan.len(), std::fs::metadata("tuesday.pcc.zip")?.len());
//!
//! // … and whoever has the first and the delta makes the second of them.
//! let monday = Reader::open(File::open("monday.pcc.zip")?, &limits)?;
//! let delta = Delta::open(File::open("tuesday.delta.pcc.zip")?, &limits)?;
//! let tuesday = delta.apply(monday, &limits)?.verify(&Trust::Anyone, &mut |_| {})?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod base;
mod fetch;
mod open;
mod write;

pub use apply::Applied;
pub use base::Base;
pub use open::Delta;
pub use write::{between, of};

use crate::digest::Digest;
use crate::path::PathError;
use crate::row::{MAX_PLAIN, Value};
use crate::shape;
use crate::signature::SignatureError;

/// The archive a delta builds on, as the delta's `pcc.json` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseName {
    /// Its `archiveId`, `urn:uuid:…`.
    pub archive_id: String,
    /// The digest of its payload manifest.
    pub manifest: Digest,
}

/// What comes of a delta, as its `pcc.json` promises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The length of the full archive in bytes.
    pub bytes: u64,
    /// How many entries it has, the bag's own files among them.
    pub entries: u64,
    /// The digest of its list of entries and what stands behind ([`crate::plan::Plan::directory`]).
    pub directory: Digest,
}

/// Why a delta cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The new archive is a delta itself.
    #[error("a delta leads to a full archive, and this is none")]
    NotFull,
    /// What the base is said to hold is no payload manifest.
    #[error("the payload manifest of the base is not readable: {0}")]
    Base(String),
    /// The new archive's `pcc.json` cannot be read, or the delta's would be too long.
    #[error("pcc.json of the delta could not be made: {0}")]
    Manifest(String),
    /// A name that cannot stand in an archive.
    #[error("a path cannot stand in an archive")]
    Path(#[from] PathError),
    /// The signing failed.
    #[error("the delta could not be signed")]
    Sign(#[from] SignatureError),
    /// One of the archives could not be read.
    #[error("an archive could not be read")]
    Read(#[from] std::io::Error),
}

impl BaseName {
    fn to_value(&self) -> Value {
        let members = [
            ("archiveId".into(), Value::Text(self.archive_id.clone())),
            ("manifest".into(), Value::Text(self.manifest.to_string())),
        ];
        Value::Object(members.into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        let archive_id = value.get("archiveId")?.as_text().filter(|id| shape::is_uuid_urn(id))?.to_owned();
        Some(Self { archive_id, manifest: value.get("manifest")?.as_text()?.parse().ok()? })
    }
}

impl Promise {
    fn to_value(self) -> Value {
        let members = [
            ("bytes".into(), Value::Int(self.bytes.into())),
            ("entries".into(), Value::Int(self.entries.into())),
            ("directory".into(), Value::Text(self.directory.to_string())),
        ];
        Value::Object(members.into())
    }

    /// Reads it from `full`, as it stands in the text: a whole number is written in digits alone.
    fn from_json(full: &serde_json::Value) -> Option<Self> {
        let whole = |name: &str| full.get(name)?.as_u64().filter(|&number| i128::from(number) <= MAX_PLAIN);
        let directory = full.get("directory")?.as_str()?.parse().ok()?;
        Some(Self { bytes: whole("bytes")?, entries: whole("entries")?, directory })
    }
}
