//! The archive on its way in: one work file that only ever grows.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, pin_mut};
use tokio::io::AsyncWriteExt as _;

use crate::archive::error::Error;

/// The file that the archive arrives in.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("archive.pcc.zip")
}

/// How much of it is here.
pub(super) fn offset(folder: &Path) -> Result<u64, Error> {
    match std::fs::metadata(path(folder)) {
        Ok(file) => Ok(file.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::file("looked at")(error)),
    }
}

/// Appends a part, of which at most the announced length is taken; answers with the new offset once it is on the disk.
pub(super) async fn append<E: std::fmt::Display>(
    folder: &Path,
    at: u64,
    announced: u64,
    part: impl Stream<Item = Result<Bytes, E>>,
) -> Result<u64, Error> {
    let here = offset(folder)?;
    if at != here {
        return Err(Error::State(format!("the next part must begin at {here}, not at {at}")));
    }
    let options = tokio::fs::OpenOptions::new().create(true).append(true).clone();
    let mut file = options.open(path(folder)).await.map_err(Error::file("opened"))?;
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
            outcome = Err(full_or(error));
            break;
        }
        offset += chunk.len() as u64;
    }
    let flushed = file.flush().await.map_err(full_or);
    file.sync_data().await.map_err(full_or)?;
    outcome.and(flushed).map(|()| offset)
}

fn full_or(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::Full("The disk of this host is full. What has arrived is kept; go on later.".into())
        }
        _ => Error::file("written")(error),
    }
}

/// Throws the archive away.
pub(super) fn discard(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path(folder)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file("removed")(error)),
    }
}
