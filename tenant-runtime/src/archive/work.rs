//! Work files: written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::running::Progress;
use crate::store;

/// An id that may name a folder: letters, digits, `-` and `_`, at most 64.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let fine =
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fine { Ok(()) } else { Err(Error::Refused("an id has at most 64 letters, digits, - and _".into())) }
}

pub(crate) fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file("made"))
}

/// Writes a file beside and moves it into place, so that it is there whole or not at all.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().map_err(Error::file("written"))
}

pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(content).map_err(|why| Error::Bug(why.to_string()))?;
    write(path, &text)
}

pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read")(error)),
    }
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match read(path)? {
        None => Ok(None),
        Some(text) => {
            serde_json::from_slice(&text).map(Some).map_err(|why| Error::Bug(format!("a work file is damaged: {why}")))
        }
    }
}

/// The ids that have a folder here, in order.
pub(crate) fn list(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("listed")(error)),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::file("listed"))?.file_name();
        ids.extend(name.into_string().ok().filter(|id| check_id(id).is_ok()));
    }
    ids.sort();
    Ok(ids)
}

pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file("removed")(error)),
    }
}

/// How often work is begun anew when the storage does not answer, and how long the pauses are.
const ATTEMPTS: u32 = 5;
pub(crate) const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

/// Does `work`, which can be done twice, again while the storage does not answer. Whoever looks is told meanwhile.
pub(super) async fn patiently<F: Future<Output = Result<(), Error>>>(
    progress: &Progress,
    mut work: impl FnMut() -> F,
) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        match work().await {
            Err(error) if error.may_pass() && attempt < ATTEMPTS && !progress.is_given_up() => {
                tracing::warn!(error = error.chain(), attempt, "the storage did not do as asked; trying again");
                progress.hinder(&error);
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Ok(()) => {
                progress.unhinder();
                return Ok(());
            }
            outcome => return outcome,
        }
    }
}

/// The same, and for want of room on the host as long as it takes, unless it is given up: for work that needs little of it, or
/// that must not have been for nothing.
pub(super) async fn until_there_is_room<F: Future<Output = Result<(), Error>>>(
    progress: &Progress,
    mut work: impl FnMut() -> F,
) -> Result<(), Error> {
    loop {
        match patiently(progress, &mut work).await {
            Err(Error::HostFull(_)) if !progress.is_given_up() => {}
            outcome => return outcome,
        }
    }
}

/// Goes on with something even if whoever waits for it goes away.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|why| early(&why))?
}

/// A task that never ran, because the process is ending, is a pause and no failure.
fn early(why: &tokio::task::JoinError) -> Error {
    if why.is_cancelled() { store::Error::Asleep.into() } else { Error::Bug(format!("a task ended early: {why}")) }
}

/// Runs something that takes its time off the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|why| early(&why))?
}
