//! The apps that come with the program, so that a new provider has something to offer without asking anyone.

use std::path::Path;

use super::Catalogue;
use super::build::{AppFolder, build_apps, plan};
use super::error::Error;
use super::index;
use super::key::SigningKey;

/// The files of one first-party app, compiled in.
macro_rules! app {
    ($folder:literal: $($file:literal)*) => {
        AppFolder::from_files($folder, [
            $(($file, include_bytes!(concat!("../../apps/", $folder, "/", $file)) as &[u8]),)*
        ])
    };
}

/// Every first-party app. A test checks that these lists and the folders agree.
fn apps() -> Vec<AppFolder> {
    vec![
        app!("home":
            "CHANGELOG.md" "draft.js" "home.css" "home.js" "icon.svg" "index.html" "kit/api.js" "kit/dom.js"
            "kit/kit.css" "kit/local.js" "kit/markdown.js" "kit/prose.css" "kit/tokens.css" "manifest.json" "page.js"),
        app!("notes":
            "CHANGELOG.md" "editor.js" "icon.svg" "index.html" "keys.js" "kit/api.js" "kit/dom.js" "kit/kit.css"
            "kit/local.js" "kit/markdown.js" "kit/prose.css" "kit/tokens.css" "manifest.json" "notes.css" "notes.js" "shelf.js"
            "store.js"),
        app!("photos":
            "CHANGELOG.md" "exif.js" "icon.svg" "index.html" "kit/api.js" "kit/dom.js" "kit/kit.css" "kit/local.js"
            "kit/markdown.js" "kit/prose.css" "kit/tokens.css" "library.js" "manifest.json" "photos.css" "photos.js" "queue.js"
            "small.js" "viewer.js"),
    ]
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
