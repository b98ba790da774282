//! What a package is, found by unpacking all of it once: before anything of it is kept, and for the page that shows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use export_format::signature::SigningKey;
use export_format::{AppId, Digest, package as signed};

use super::manifest::Manifest;
use super::package::{Package, Refused};

/// A package that can be installed.
#[derive(Debug)]
pub struct Examined {
    /// The app's id.
    pub id: AppId,
    /// What it says about itself.
    pub read: Manifest,
    /// The key that signed it.
    pub maker: Option<SigningKey>,
    /// How many files it has.
    pub files: u64,
    /// How many bytes these have together.
    pub bytes: u64,
    /// Files that its manifest names and that are not there.
    pub missing: Vec<String>,
}

/// Looks through a whole package. Blocks; bounded as [`Package`] is.
///
/// # Errors
/// When it may not be installed, in words.
pub fn examine(bytes: Arc<[u8]>) -> Result<Examined, Refused> {
    let mut package = Package::open(bytes)?;
    let (mut digests, mut list, mut signature, mut size) = (Vec::new(), None, None, 0);
    for position in 0..package.len() {
        let (path, bytes) = package.file(position)?;
        size += bytes.len() as u64;
        digests.push((path.clone(), Digest::of(&bytes)));
        match path.as_str() {
            signed::LIST => list = Some(bytes),
            signed::SIGNATURE => signature = Some(bytes),
            _ => {}
        }
    }
    let files = digests.iter().map(|(path, digest)| (path.as_str(), *digest));
    let maker = signed::maker(list.as_deref(), signature.as_deref(), files)?;
    let there: BTreeSet<&str> = digests.iter().map(|(path, _)| path.as_str()).collect();
    let mut missing: Vec<String> =
        package.read.files().into_iter().filter(|path| !there.contains(path.as_str())).collect();
    if package.read.pages.is_empty() && !there.contains("index.html") {
        missing.push("index.html".to_owned());
    }
    Ok(Examined { id: package.id, read: package.read, maker, files: digests.len() as u64, bytes: size, missing })
}
