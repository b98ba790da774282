//! The note a sleeping home leaves beside its local copy: which head the copy equals, and which pages of it are there.
//!
//! The database file changes only by folding in a log that has been published, and publishing changes the head. So
//! a note that names the present head is true whatever happened since it was written, and need not be removed on
//! waking. It is written after the file was flushed, so it survives no power cut that the file did not.
//!
//! If the head has changed since, most of the copy is still good: a group that lies where it lay, and was not changed
//! by log when the note was written, holds what it held. Pages that a later run folded into such a group came from
//! published log, which the new head either still has, and lays over them, or has packed, and then the group moved.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bucket::Expect;
use super::content::Content;
use super::error::Error;
use super::head::{Base, GroupAt};
use super::keeper::Keeper;
use super::pack::{GROUP, blocking};
use super::presence::Presence;

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
    base: Base,
    /// Which pages are there, as runs counted from 0.
    runs: Vec<(u32, u32)>,
    /// The pages the hot object holds.
    hot: Option<BTreeSet<u32>>,
}

impl Marker {
    /// The copy is as it was; says which of its groups differ from the base.
    pub(super) fn take_up(self, content: &Content) -> BTreeSet<u32> {
        let limit = self.base.groups.len() as u32 * GROUP;
        content.pages.lay_out(Arc::new(self.base), Presence::of(&self.runs, limit));
        *content.hot.lock() = self.hot;
        self.dirty
    }

    /// Which pages of the copy are good for another base.
    pub(super) fn still_good(&self, base: &Base) -> Presence {
        let mut presence = Presence::of(&self.runs, base.groups.len() as u32 * GROUP);
        for (group, at) in base.groups.iter().enumerate() {
            let was = self.base.groups.get(group).copied().flatten();
            let same = match (at, was) {
                (Some(at), Some(was)) => {
                    let place = |base: &Base, at: GroupAt| base.packs.get(&at.0).cloned().map(|key| (key, at.1, at.2));
                    place(base, *at).is_some_and(|now| place(&self.base, was) == Some(now))
                }
                _ => false,
            };
            let group = group as u32;
            if !same || self.dirty.contains(&group) {
                presence.remove(group * GROUP..(group + 1) * GROUP);
            }
        }
        presence
    }
}

/// The note in `cache`, if there is one that can be read.
pub(super) fn read(cache: &Path) -> Option<Marker> {
    serde_json::from_slice(&fs::read(cache.join(NAME)).ok()?).ok()
}

/// Writes the note for a keeper whose database is closed and folded.
pub(super) async fn write(keeper: &mut Keeper) -> Result<(), Error> {
    let Expect::Version(version) = &keeper.version else { return Ok(()) };
    let folder = keeper.content.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let pages = &keeper.content.pages;
    let marker = Marker {
        version: version.0.clone(),
        folder,
        dirty: keeper.dirty.clone(),
        base: (*pages.base()).clone(),
        runs: pages.runs(keeper.head.pages),
        hot: keeper.content.hot.lock().clone(),
    };
    let json = serde_json::to_vec(&marker).expect("a marker is plain data");
    let (file, cache) = (Arc::clone(&keeper.content.file), keeper.cache.clone());
    if std::fs::read(cache.join(NAME)).is_ok_and(|old| old == json) {
        return Ok(()); // Nothing was written or brought since; the file is as it was.
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
