//! The apps that come with the program, so that a new provider has something to offer without asking anyone.

use std::path::Path;

use super::Catalogue;
use super::build::{AppFolder, build_apps, plan};
use super::error::Error;
use super::index;
use super::key::SigningKey;

/// Files of one folder of `apps`, compiled in.
macro_rules! files {
    ($folder:literal: $($file:literal)*) => {
        &[$(($file, include_bytes!(concat!("../../apps/", $folder, "/", $file)) as &[u8]),)*]
    };
}

/// The files of one folder by their names.
type Files = &'static [(&'static str, &'static [u8])];

/// What every first-party app has under `kit/`.
#[rustfmt::skip]
const KIT: Files = files!("notes":
    "kit/api.js" "kit/dom.js" "kit/frame.js" "kit/keys.js" "kit/kit.css" "kit/local.js" "kit/markdown.js"
    "kit/panes.css" "kit/prose.css" "kit/queue.js" "kit/queued.js" "kit/records.js" "kit/sharing.js" "kit/small.js"
    "kit/tokens.css" "kit/writings.js");

/// Every first-party app without the kit. A test checks that these lists and the folders agree.
#[rustfmt::skip]
const APPS: &[(&str, Files)] = &[
    ("blog", files!("blog":
        "CHANGELOG.md" "blog.css" "blog.js" "editor.js" "icon.svg" "index.html" "manifest.json" "paper.js" "press.js")),
    ("contacts", files!("contacts":
        "CHANGELOG.md" "card.js" "contacts.css" "contacts.js" "icon.svg" "index.html" "manifest.json" "people.js"
        "vcard.js")),
    ("files", files!("files":
        "CHANGELOG.md" "cabinet.js" "files.css" "files.js" "icon.svg" "index.html" "kinds.js" "manifest.json"
        "public/folder.html" "public/folder.js" "viewer.js")),
    ("home", files!("home":
        "CHANGELOG.md" "draft.js" "home.css" "home.js" "icon.svg" "index.html" "manifest.json" "page.js")),
    ("notes", files!("notes":
        "CHANGELOG.md" "editor.js" "icon.svg" "index.html" "manifest.json" "notes.css" "notes.js" "shelf.js")),
    ("photos", files!("photos":
        "CHANGELOG.md" "exif.js" "icon.svg" "index.html" "library.js" "manifest.json" "originals.js" "photos.css"
        "photos.js" "viewer.js")),
    ("reader", files!("reader":
        "CHANGELOG.md" "icon.svg" "index.html" "manifest.json" "reader.css" "reader.js" "sources.js")),
    ("tasks", files!("tasks":
        "CHANGELOG.md" "days.js" "ical.js" "icon.svg" "index.html" "manifest.json" "one.js" "reminders.js" "tasks.css"
        "tasks.js")),
];

fn apps() -> Vec<AppFolder> {
    let whole = |(folder, own): &(&str, Files)| AppFolder::from_files(folder, own.iter().chain(KIT).copied());
    APPS.iter().map(whole).collect()
}

/// The catalogue in the data directory, built when it is missing, damaged, or of another program version.
pub(super) fn open_or_build(data_dir: &Path, now: jiff::Timestamp) -> Result<Catalogue, Error> {
    let key = SigningKey::open_or_make(&data_dir.join("keys/catalogue"))?;
    let folder = data_dir.join("catalogue");
    let apps = apps();
    if let Ok(found) = Catalogue::open_folder(&folder, &key.trusted())
        && is_whole(&found, &folder, &apps)
    {
        return Ok(found);
    }
    build_apps(&apps, &folder, &key, now)?;
    Catalogue::open_folder(&folder, &key.trusted())
}

/// Whether a catalogue found on disk holds exactly these apps, with every file as its index says.
fn is_whole(found: &Catalogue, folder: &Path, apps: &[AppFolder]) -> bool {
    let Some(made) = jiff::Timestamp::from_millisecond(found.index.made).ok() else { return false };
    let Ok((index, files)) = plan(apps, made) else { return false };
    let same = |(path, bytes): (&String, &Vec<u8>)| {
        super::source::read_folder(folder, path, bytes.len() as u64)
            .is_ok_and(|read| index::check_digest(path, &read, &index::sha256(bytes)).is_ok())
    };
    index == found.index && files.iter().all(same)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_file_of_the_app_folders_is_compiled_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps");
        let mut folders = 0;
        for app in apps() {
            let read = AppFolder::read(&root.join(app.name())).unwrap();
            assert_eq!(app.paths(), read.paths(), "{}", app.name());
            folders += 1;
        }
        let there = std::fs::read_dir(root)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().join("manifest.json").is_file());
        assert_eq!(there.count(), folders);
    }
}
