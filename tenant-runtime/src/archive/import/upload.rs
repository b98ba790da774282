//! The archive on its way in: one work file that only ever grows, and beside it what opens it when it is sealed.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, pin_mut};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use export_format::sealed::{self, Key, Lock, SealedError, Unlocked};
use export_format::secrets;

use crate::archive::error::Error;
use crate::archive::work;

/// How much is written to the file at once.
const AT_ONCE: usize = 1 << 20;

/// The file that the archive arrives in.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("archive.pcc.zip")
}

/// The file with what opens a sealed archive. Like the archive itself it goes when the import is over.
fn unlocked_path(folder: &Path) -> PathBuf {
    folder.join("unlocked")
}

/// What unlocks the archive that is here.
pub(super) enum Access {
    /// Nothing is needed.
    Open,
    /// Its owner has unlocked it.
    Unlocked(Unlocked),
    /// It waits for a passphrase.
    Locked,
}

/// Looks at how the archive starts, and whether it was unlocked.
pub(super) fn access(folder: &Path) -> Result<Access, Error> {
    let start = start(folder)?;
    if !secrets::is_sealed(&start) {
        return Ok(Access::Open);
    }
    if let Some(kept) = work::read(&unlocked_path(folder))? {
        let unlocked = Unlocked::from_bytes(&kept).map_err(|_| Error::Bug("a work file is damaged".into()))?;
        return Ok(Access::Unlocked(unlocked));
    }
    match sealed::lock(&start) {
        Ok(Lock::Passphrase) => Ok(Access::Locked),
        Ok(Lock::Keys) => Err(Error::Refused(
            "It is sealed to a key and not with a passphrase. Open it first, with \"age -d -i KEYFILE -o ARCHIVE.pcc.zip\", and upload what comes out.".into(),
        )),
        Err(why) => Err(Error::Refused(why.to_string())),
    }
}

/// Unlocks a sealed archive and keeps what the passphrase led to, not the passphrase. `memory` bounds what trying it may
/// take, in bytes: whoever sealed the archive chose that.
pub(super) fn unlock(folder: &Path, passphrase: &str, memory: u64) -> Result<(), Error> {
    // At a work of 2^n it takes 2^n KiB.
    let max_work = (memory / 1024).checked_ilog2().unwrap_or(0).min(20) as u8;
    let key = Key::Passphrase { text: passphrase.to_owned(), max_work };
    let unlocked = Unlocked::with(&start(folder)?, &key).map_err(|why| match why {
        SealedError::Wrong => Error::Refused(
            "This is not the passphrase of the archive. Mind capitals and spaces, and try again; nothing was changed.".into(),
        ),
        SealedError::Work { .. } => Error::Refused(format!(
            "Of this server, {why}. Open it on your own machine with \"age -d -o ARCHIVE.pcc.zip\", and upload what comes out."
        )),
        why => Error::Refused(why.to_string()),
    })?;
    work::write(&unlocked_path(folder), &unlocked.to_bytes())
}

fn start(folder: &Path) -> Result<Vec<u8>, Error> {
    let mut start = Vec::new();
    let file = File::open(path(folder)).map_err(Error::file("opened"))?;
    file.take(sealed::START as u64).read_to_end(&mut start).map_err(Error::file("read"))?;
    Ok(start)
}

/// How much of a file is here.
pub(super) fn offset(file: &Path) -> Result<u64, Error> {
    match std::fs::metadata(file) {
        Ok(file) => Ok(file.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::file("looked at")(error)),
    }
}

/// Appends a part, of which at most the announced length is taken; answers with the new offset once it is on the disk.
pub(super) async fn append<E: std::fmt::Display>(
    path: &Path,
    at: u64,
    announced: u64,
    part: impl Stream<Item = Result<Bytes, E>>,
) -> Result<u64, Error> {
    let here = offset(path)?;
    if at != here {
        return Err(Error::State(format!("the next part must begin at {here}, not at {at}")));
    }
    let options = tokio::fs::OpenOptions::new().create(true).append(true).clone();
    let file = options.open(path).await.map_err(Error::file("opened"))?;
    let mut file = BufWriter::with_capacity(AT_ONCE, file);
    let mut offset = here;
    let mut outcome = Ok(());
    pin_mut!(part);
    while let Some(chunk) = part.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                outcome = Err(Error::State(format!("the upload broke off ({error}); go on at {offset}")));
                break;
            }
        };
        if offset + chunk.len() as u64 > announced {
            outcome = Err(Error::Refused(format!("the archive is longer than the {announced} bytes announced")));
            break;
        }
        if let Err(error) = file.write_all(&chunk).await {
            outcome = Err(Error::file("written")(error));
            break;
        }
        offset += chunk.len() as u64;
    }
    let flushed = file.flush().await.map_err(Error::file("written"));
    file.get_ref().sync_data().await.map_err(Error::file("written"))?;
    outcome.and(flushed).map(|()| offset)
}

/// Throws the archive away, and what opens it.
pub(super) fn discard(folder: &Path) -> Result<(), Error> {
    for gone in [path(folder), unlocked_path(folder)] {
        match std::fs::remove_file(gone) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("removed")(error)),
        }
    }
    Ok(())
}
