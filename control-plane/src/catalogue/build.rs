//! Making a catalogue from app folders: the function behind `freehold catalogue build`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::index::{self, FORMAT, Index, Listing, VERSION};
use super::key::{SigningKey, TrustedKey};
use super::package::{self, Files};

/// The largest file of an app, and the most files, that a package is made from.
const MAX_FILE_BYTES: u64 = 64 << 20;
const MAX_FILES: usize = 5_000;

/// One app's files, read and ready to be packed.
#[derive(Debug, Clone)]
pub struct AppFolder {
    at: String,
    pub(super) files: Files,
}

impl AppFolder {
    /// An app from files in memory; `at` names it in errors.
    pub fn from_files<'a>(at: &str, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let files = files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
        Self { at: at.to_owned(), files }
    }

    /// An app from a folder. Hidden files are left out; links are followed.
    ///
    /// # Errors
    /// When something in it cannot be read or has a name that does not travel.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let mut app = Self { at: folder.display().to_string(), files: Files::new() };
        app.walk(folder, "")?;
        Ok(app)
    }

    /// What names it in errors.
    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.at
    }

    /// The paths of its files.
    #[cfg(test)]
    pub(super) fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<(), Error> {
        for (name, path) in visible(folder)? {
            let inside = format!("{prefix}{name}");
            if !index::is_plain_path(&inside) {
                return Err(Error::App {
                    at: self.at.clone(),
                    why: format!("{inside:?} is a name that does not travel"),
                });
            }
            if path.is_dir() {
                self.walk(&path, &format!("{inside}/"))?;
                continue;
            }
            let bytes = super::source::read_folder(folder, &name, MAX_FILE_BYTES)?;
            self.files.insert(inside, bytes.to_vec());
            if self.files.len() > MAX_FILES {
                return Err(Error::App { at: self.at.clone(), why: format!("it has more than {MAX_FILES} files") });
            }
        }
        Ok(())
    }
}

/// The entries of a folder that are not hidden, sorted by name.
fn visible(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let failed = |source: io::Error| Error::Read { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// How many apps it holds.
    pub apps: usize,
    /// The key to give to those who follow it.
    pub key: TrustedKey,
    /// Where `index.json` lies.
    pub folder: PathBuf,
}

/// Builds a catalogue in `out` from every folder in `apps_dir` that has a manifest.
///
/// # Errors
/// When an app is not sound, or something cannot be read or written.
pub fn build(apps_dir: &Path, out: &Path, key: &SigningKey, made: jiff::Timestamp) -> Result<Built, Error> {
    let mut apps = Vec::new();
    for (_, path) in visible(apps_dir)? {
        if path.join("manifest.json").is_file() {
            apps.push(AppFolder::read(&path)?);
        }
    }
    build_apps(&apps, out, key, made)
}

/// Builds a catalogue in `out` from the given apps. The folder is complete before it gets its name.
///
/// # Errors
/// As for [`build`].
pub fn build_apps(apps: &[AppFolder], out: &Path, key: &SigningKey, made: jiff::Timestamp) -> Result<Built, Error> {
    let (index, files) = plan(apps, made)?;
    put_down(&index, &files, out, key)
}

/// Writes a whole catalogue and lets it take the place of what is in `out`.
pub(super) fn put_down(index: &Index, files: &Files, out: &Path, key: &SigningKey) -> Result<Built, Error> {
    let bytes = index.to_bytes();
    let beside = out.with_extension("new");
    remove(&beside)?;
    write(&beside, "index.json.sig", &key.sign(&bytes))?;
    write(&beside, "key.pub", format!("{}\n", key.trusted()).as_bytes())?;
    for (path, bytes) in files {
        write(&beside, path, bytes)?;
    }
    write(&beside, "index.json", &bytes)?;
    remove(out)?;
    fs::rename(&beside, out).map_err(|source| Error::Write { path: out.to_owned(), source })?;
    Ok(Built { apps: index.apps.len(), key: key.trusted(), folder: out.to_owned() })
}

/// The index, and the packages and icons it names, without writing anything.
pub(super) fn plan(apps: &[AppFolder], made: jiff::Timestamp) -> Result<(Index, Files), Error> {
    let mut out = Files::new();
    let mut listings = Vec::new();
    for app in apps {
        let facts = package::facts(&app.at, &app.files)?;
        let zip = package::pack(&app.files);
        let icon = app.files[&facts.icon].clone();
        if !facts.icon.ends_with(".svg") || icon.len() as u64 > package::MAX_ICON_BYTES {
            return Err(Error::App { at: app.at.clone(), why: "its icon is not an SVG of at most 256 KiB".to_owned() });
        }
        let stem = format!("{}-{}", facts.id, facts.version);
        let (package_path, icon_path) = (format!("packages/{stem}.zip"), format!("icons/{stem}.svg"));
        if stem.contains('/') || !index::is_plain_path(&stem) {
            return Err(Error::App {
                at: app.at.clone(),
                why: format!("its version {:?} does not travel", facts.version),
            });
        }
        listings.push(Listing {
            id: facts.id,
            name: facts.name,
            version: facts.version,
            description: facts.description,
            categories: facts.categories,
            permissions: facts.permissions,
            changes: package::changes(&app.files),
            icon_sha256: index::sha256(&icon),
            icon: icon_path.clone(),
            size: zip.len() as u64,
            sha256: index::sha256(&zip),
            package: package_path.clone(),
            maker: package::maker(&app.at, &app.files)?,
            rollout: 100,
            revoked: Vec::new(),
        });
        out.insert(package_path, zip);
        out.insert(icon_path, icon);
    }
    listings.sort_by(|a, b| a.id.cmp(&b.id));
    let index = Index { format: FORMAT.to_owned(), version: VERSION, made: made.as_millisecond(), apps: listings };
    // Read back by the same rules that a follower applies: two folders with one id are refused here, not there.
    Ok((Index::parse(&index.to_bytes())?, out))
}

fn write(folder: &Path, path: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(path);
    let failed = |source| Error::Write { path: path.clone(), source };
    fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
    fs::write(&path, bytes).map_err(failed)
}

/// Removes a catalogue that is replaced; refuses to remove a folder that is none.
fn remove(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(mut entries) => {
            let ours = folder.join("index.json.sig").is_file() || entries.next().is_none();
            if !ours {
                return Err(failed(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "the folder holds something other than a catalogue",
                )));
            }
        }
    }
    fs::remove_dir_all(folder).map_err(failed)
}
