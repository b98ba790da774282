//! Publishing one app: signing it as its maker, and putting it into a catalogue that may hold others.

use std::fs;
use std::io;
use std::path::Path;

use export_format::{Digest, package as signed};
use tenant_runtime::apps;

use super::build::{AppFolder, Built, plan, put_down};
use super::error::Error;
use super::index::{self, FORMAT, Index, VERSION};
use super::key::SigningKey;
use super::package::{self, Files};
use super::source::read_folder;

/// The largest package that is taken over from a catalogue.
const MAX_PACKAGE_BYTES: u64 = 256 << 20;

impl AppFolder {
    /// Its files, for whoever looks through them.
    #[must_use]
    pub fn files(&self) -> &apps::check::Files {
        &self.files
    }

    /// The package as one file.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        package::pack(&self.files)
    }

    /// Signs it as its maker's, instead of whoever signed it before.
    pub fn sign(&mut self, maker: &SigningKey) {
        self.files.retain(|path, _| path != signed::LIST && path != signed::SIGNATURE);
        let list = signed::list(self.files.iter().map(|(path, bytes)| (path.as_str(), Digest::of(bytes))));
        let signature = maker.sign_for(signed::NAMESPACE, list.as_bytes());
        self.files.insert(signed::LIST.to_owned(), list.into_bytes());
        self.files.insert(signed::SIGNATURE.to_owned(), signature);
    }
}

/// Puts an app into the catalogue in `out`, beside the apps that are in it; makes one where there is none. What the catalogue says
/// of withdrawn versions of the app stays.
///
/// # Errors
/// When the app is not sound or not newer than what is there, the catalogue is not of this key, or something cannot be read or written.
pub fn publish(app: &AppFolder, out: &Path, key: &SigningKey, made: jiff::Timestamp) -> Result<Built, Error> {
    let (fresh, mut files) = plan(std::slice::from_ref(app), made)?;
    let mut apps = fresh.apps;
    if let Some(before) = held(out, key)? {
        for listing in before.apps {
            match apps.iter_mut().find(|app| app.id == listing.id) {
                Some(app) => {
                    if apps::version::compare(&app.version, &listing.version) != std::cmp::Ordering::Greater {
                        return Err(Error::App {
                            at: app.id.to_string(),
                            why: format!(
                                "version {} is not newer than {}, which is published: raise it in the manifest",
                                app.version, listing.version
                            ),
                        });
                    }
                    app.revoked = listing.revoked;
                }
                None => {
                    take_over(out, &listing.package, &listing.sha256, &mut files)?;
                    take_over(out, &listing.icon, &listing.icon_sha256, &mut files)?;
                    apps.push(listing);
                }
            }
        }
    }
    apps.sort_by(|a, b| a.id.cmp(&b.id));
    let index = Index { format: FORMAT.to_owned(), version: VERSION, made: fresh.made, apps };
    put_down(&index, &files, out, key)
}

/// The index of a catalogue in a folder, if there is one.
fn held(out: &Path, key: &SigningKey) -> Result<Option<Index>, Error> {
    match fs::read_dir(out).map(|mut entries| entries.next().is_none()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(true) => Ok(None),
        _ => super::Catalogue::open_folder(out, &key.trusted()).map(|found| Some(found.index)),
    }
}

fn take_over(out: &Path, path: &str, digest: &str, files: &mut Files) -> Result<(), Error> {
    let bytes = read_folder(out, path, MAX_PACKAGE_BYTES)?;
    index::check_digest(path, &bytes, digest)?;
    files.insert(path.to_owned(), bytes.to_vec());
    Ok(())
}
