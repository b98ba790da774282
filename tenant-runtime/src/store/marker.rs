//! The note a sleeping home leaves beside its local copy: which head the copy equals.
//!
//! The database file changes only by folding in a log that has been published, and publishing changes the head. So
//! a note that names the present head is true whatever happened since it was written, and need not be removed on
//! waking. It is written after the file was flushed, so it survives no power cut that the file did not.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bucket::Expect;
use super::error::Error;
use super::keeper::Keeper;
use super::pack::blocking;

const NAME: &str = "asleep.json";

/// What the note says.
#[derive(Serialize, Deserialize)]
pub(super) struct Marker {
    /// The version of the head.
    pub(super) version: String,
    /// The folder with the copy, inside the cache.
    pub(super) folder: String,
    /// Groups that differ from the base.
    pub(super) dirty: BTreeSet<u32>,
}

/// The note in `cache`, if there is one that can be read.
pub(super) fn read(cache: &Path) -> Option<Marker> {
    serde_json::from_slice(&fs::read(cache.join(NAME)).ok()?).ok()
}

/// Writes the note for a keeper whose database is closed and folded.
pub(super) async fn write(keeper: &mut Keeper) -> Result<(), Error> {
    let Expect::Version(version) = &keeper.version else { return Ok(()) };
    let folder = keeper.content.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let marker = Marker { version: version.0.clone(), folder, dirty: keeper.dirty.clone() };
    let json = serde_json::to_vec(&marker).expect("a marker is plain data");
    let (file, cache) = (std::sync::Arc::clone(&keeper.content.file), keeper.cache.clone());
    let known = read(&cache).is_some_and(|old| old.version == marker.version && old.folder == marker.folder);
    if known {
        return Ok(()); // Nothing was written since; the file is as it was.
    }
    blocking(move || {
        let write = || {
            file.sync_all()?;
            let new = cache.join("asleep.new");
            let mut note = File::create(&new)?;
            note.write_all(&json)?;
            note.sync_all()?;
            fs::rename(new, cache.join(NAME))
        };
        write().map_err(Error::cache("leave a note"))
    })
    .await
}
