//! Converting an archive into what other systems take.
//!
//! The archive is the whole of a server in one published form; not everybody reads that form. This writes from a verified
//! archive what people and other systems read as it is: plain folders, the lists of a Mastodon account, the backups that
//! freezr restores. CONVERTING.md beside this crate says what becomes of what, and where each shape was looked up.
//!
//! Invariants:
//! - Only what was verified is converted ([`Verified`]), and nothing leaves the folder that was opened: names are made safe by
//!   [`Namer`](crate::path::Namer), files are made anew beneath an open directory.
//! - What stands in the archive is content, never instruction: line breaks do not become headers of a message or properties of
//!   a card, cells do not become formulas.
//! - Nothing is dropped in silence. What a target cannot say is counted in [`Converted::left`], with the reason, and stands in
//!   the `README.txt` that is written along.
//!
//! Fails by [`ConvertError`]. A folder that is not empty is refused; a run that was cut off is done again into a new one.

mod apps;
mod card;
mod folders;
mod freezr;
mod mail;
mod mastodon;
mod out;
pub mod restore;
mod schedule;
mod text;

use std::io;

use cap_std::fs::Dir;
use serde::Serialize;

use crate::reader::{Progress, Reader, Verified};
use crate::row::RowError;
use crate::source::Source;

use out::Out;

/// What an archive is converted into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Plain folders: Markdown, JSON, vCard, iCalendar, mbox, and files as they are.
    Folders,
    /// The CSV lists that a Mastodon account imports.
    Mastodon,
    /// Backups of tables, as freezr's restore page takes them, with the files beside.
    Freezr,
}

/// What came of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// What was written.
    pub written: Vec<Written>,
    /// What could not be expressed.
    pub left: Vec<Left>,
}

/// Things of one kind that were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// What they are.
    pub what: String,
    /// How many.
    pub count: u64,
    /// In which folder or file.
    pub at: String,
}

/// Things of one kind that were not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What they are.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Why not.
    pub why: String,
}

/// Why a conversion ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Whoever takes it wants no more.
    #[error("it was ended")]
    Ended,
    /// There is something in the folder.
    #[error("the folder is not empty; give a new one, or empty it")]
    NotEmpty,
    /// The archive could not be read, or is not what it was when it was verified.
    #[error("the archive could not be read")]
    Read(#[source] io::Error),
    /// A row could not be read, which a verified archive does not have.
    #[error("a row could not be read")]
    Row(#[from] RowError),
    /// A file could not be written.
    #[error("{path} could not be written")]
    Write {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Converts an archive into files in `into`, which must be empty.
///
/// ```no_run
/// use cap_std::{ambient_authority, fs::Dir};
/// use export_format::convert::{Target, convert};
/// use export_format::reader::{Limits, Reader};
/// use export_format::signature::Trust;
/// let archive = Reader::open(std::fs::File::open("anna.example.pcc.zip")?, &Limits::default())?;
/// let archive = archive.verify(&Trust::Anyone, &mut |_| {})?;
/// let converted = convert(&archive, Target::Folders, &Dir::open_ambient_dir("anna", ambient_authority())?, &mut |_| {})?;
/// for left in &converted.left {
///     println!("{} {}: {}", left.count, left.what, left.why);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the folder is not empty, or something cannot be read or written.
pub fn convert<S: Source>(
    archive: &Reader<S, Verified>,
    target: Target,
    into: &Dir,
    progress: &mut dyn FnMut(Progress),
) -> Result<Converted, ConvertError> {
    let is_empty = into.entries().map(|mut entries| entries.next().is_none()).map_err(ConvertError::Read)?;
    if !is_empty {
        return Err(ConvertError::NotEmpty);
    }
    let total = archive.entries().iter().filter(|entry| entry.path().is_payload()).map(|entry| entry.size()).sum();
    let mut out = Out::new(into, total, progress);
    match target {
        Target::Folders => folders::write(archive, &mut out)?,
        Target::Mastodon => mastodon::write(archive, &mut out)?,
        Target::Freezr => freezr::write(archive, &mut out)?,
    }
    let manifest = archive.manifest();
    for omitted in &manifest.omitted {
        out.leave(&omitted.what, &format!("the archive does not have it: {}", omitted.why));
    }
    out.finish(target, manifest)
}
