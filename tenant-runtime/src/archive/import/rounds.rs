//! The rounds of an import that follows: each a delta that arrives in a file of its own, in as many parts as it takes.
//!
//! A number stands for one delta for good. One that was refused is followed by another number on the same base; which
//! archive a delta leads on from, it says itself.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;

use super::job::{Announced, Job, Standing};
use super::{Free, Imports, report, upload};
use crate::admin::api::{ImportState, ImportView};
use crate::archive::error::Error;
use crate::archive::work;

fn folder_of(folder: &Path) -> PathBuf {
    folder.join("rounds")
}

/// The file that a round arrives in.
pub(super) fn path(folder: &Path, round: u32) -> PathBuf {
    folder_of(folder).join(format!("{round:06}.delta.pcc.zip"))
}

/// The files that lead from the archive to what is staged.
pub(super) fn chain(folder: &Path, standing: &Standing) -> Vec<PathBuf> {
    standing.chain.iter().map(|round| path(folder, *round)).collect()
}

/// Throws a round away.
pub(super) fn discard_one(folder: &Path, round: u32) -> Result<(), Error> {
    match std::fs::remove_file(path(folder, round)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("removed")(error)),
        _ => Ok(()),
    }
}

/// Throws all of them away.
pub(super) fn discard(folder: &Path) -> Result<(), Error> {
    work::remove(&folder_of(folder))
}

impl Imports {
    /// Announces a round of so many bytes, or answers as when it was announced.
    pub async fn announce(&self, id: &str, round: u32, bytes: u64) -> Result<ImportView, Error> {
        let (mut job, mut standing) = self.following(id)?;
        match standing.announced {
            Some(known) if known.round == round && known.bytes == bytes => return self.view(id).await,
            Some(known) if known.round == round => {
                let why = format!("round {round} was announced with {} bytes, not {bytes}", known.bytes);
                return Err(Error::State(why));
            }
            known if round <= known.map_or(0, |known| known.round) => {
                return Err(Error::State(format!("round {round} is past; announce a later one")));
            }
            _ if job.state == ImportState::CatchingUp => {
                return Err(Error::State("a round is being put in just now; announce the next one after it".into()));
            }
            former => {
                let limit = self.inner.launch.limits.storage_bytes;
                if bytes > limit {
                    return Err(Error::Full(report::too_big(bytes, limit)));
                }
                let folder = self.folder(id);
                work::make(&folder_of(&folder))?;
                if let Some(former) = former.filter(|former| !standing.chain.contains(&former.round)) {
                    discard_one(&folder, former.round)?;
                }
                // What an earlier attempt may have left, before it was noted.
                discard_one(&folder, round)?;
                standing.announced = Some(Announced { round, bytes, refused: false });
                job.standing = Some(standing);
                job.set(&folder, ImportState::Following)?;
            }
        }
        self.view(id).await
    }

    /// How many bytes of the round are safely here.
    pub fn round_offset(&self, id: &str, round: u32) -> Result<u64, Error> {
        self.announced(id, round)?;
        upload::offset(&path(&self.folder(id), round))
    }

    /// Takes the next part of a round, as of an archive.
    pub async fn upload_round<E: std::fmt::Display>(
        &self,
        id: &str,
        round: u32,
        offset: u64,
        part: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64, Error> {
        let announced = self.announced(id, round)?;
        if !self.inner.uploading.lock().insert(id.to_owned()) {
            return Err(Error::State("another part of this round is arriving just now".into()));
        }
        let _free = Free { set: &self.inner.uploading, id };
        upload::append(&path(&self.folder(id), round), offset, announced.bytes, part).await
    }

    /// Puts a round that is here into the stage and verifies it. Asking twice is asking once, also of one that was refused.
    pub async fn apply(&self, id: &str, round: u32) -> Result<ImportView, Error> {
        let (mut job, standing) = self.following(id)?;
        let is_refused = standing.announced.is_some_and(|announced| announced.round == round && announced.refused);
        if standing.round == round || is_refused || job.state == ImportState::CatchingUp {
            return self.view(id).await;
        }
        let announced = self.announced(id, round)?;
        let here = self.round_offset(id, round)?;
        if here < announced.bytes {
            return Err(Error::State(format!("only {here} of {} bytes of round {round} are here", announced.bytes)));
        }
        job.error = None;
        job.set(&self.folder(id), ImportState::CatchingUp)?;
        self.run(id);
        self.view(id).await
    }

    /// An import that follows, and what it stands on.
    pub(super) fn following(&self, id: &str) -> Result<(Job, Standing), Error> {
        let mut job = self.job(id)?;
        match (job.state, job.standing.take()) {
            (ImportState::Following | ImportState::CatchingUp, Some(standing)) => {
                job.standing = Some(standing.clone());
                Ok((job, standing))
            }
            _ if job.follow => Err(Error::State("this import does not follow yet, or not any more".into())),
            _ => Err(Error::State("this import was not begun to follow another server".into())),
        }
    }

    /// A round that was announced and not refused.
    fn announced(&self, id: &str, round: u32) -> Result<Announced, Error> {
        let (job, standing) = self.following(id)?;
        match standing.announced.filter(|announced| announced.round == round) {
            Some(announced) if announced.refused => {
                let why = job.error.map_or_else(String::new, |why| format!(": {why}"));
                Err(Error::State(format!("round {round} was refused{why}")))
            }
            Some(announced) => Ok(announced),
            None => Err(Error::Missing("such round")),
        }
    }
}
