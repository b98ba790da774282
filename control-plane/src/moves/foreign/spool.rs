//! Where what comes is put down on the way: a folder for each gathering, with one file that only grows.
//!
//! An archive can be laid out only when everything in it is known by length and digest, and a stranger sends when and what it
//! likes. So contents are written here as they come, and the archive is read out of them.
//!
//! Invariants: never more than the room that was given is written, nor into the last of the disk; a folder goes away with its
//! [`Spool`], and those that a killed program left are removed at the next start.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use export_format::digest::{Summary, Tally};
use export_format::plan::{Piece, Plan};
use futures::Stream;
use tokio::sync::mpsc;

use crate::{Error, Result};

/// So much of the disk is left to others, in bytes.
const LEAVES: u64 = 1 << 30;
/// After how many bytes the disk is looked at again.
const LOOKS: u64 = 16 << 20;
/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// A file that grows, in a folder of its own.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    file: Arc<File>,
    len: u64,
    limit: u64,
    looked: u64,
}

/// A reader of a spool, also when it is written to meanwhile. A cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Spooled(Arc<File>);

/// The folder of all spools.
fn folder(data: &Path) -> PathBuf {
    data.join("foreign")
}

/// Removes what a program that was killed left.
pub(crate) fn sweep(data: &Path) {
    match std::fs::remove_dir_all(folder(data)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "what was gathered from other servers before the start could not be removed");
        }
        _ => {}
    }
}

impl Spool {
    /// A new one, called so, with room for `limit` bytes.
    pub(super) fn create(data: &Path, name: &str, limit: u64) -> Result<Self> {
        let dir = folder(data).join(name);
        std::fs::create_dir_all(&dir).map_err(disk)?;
        let open = File::options().read(true).write(true).create_new(true).open(dir.join("content"));
        let file = Arc::new(open.map_err(disk)?);
        Ok(Self { dir, file, len: 0, limit, looked: 0 })
    }

    /// How long it is.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Adds bytes and says where they begin.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<u64> {
        let at = self.len;
        let after = at + bytes.len() as u64;
        if after > self.limit {
            return Err(Error::full(format!(
                "What is there is more than your plan has room for, which is {}. Choose a larger plan, or leave an app out.",
                human(self.limit)
            )));
        }
        if after >= self.looked {
            if free(&self.dir)? < LEAVES {
                return Err(Error::full("Our disk has no room for it just now. Try again later; nothing was changed."));
            }
            self.looked = after + LOOKS;
        }
        self.file.write_all_at(bytes, at).map_err(disk)?;
        self.len = after;
        Ok(at)
    }

    /// Forgets what came behind `len`.
    pub(super) fn cut(&mut self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(disk)?;
        self.len = len;
        Ok(())
    }

    pub(super) fn reader(&self) -> Spooled {
        Spooled(Arc::clone(&self.file))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, "what was gathered from another server is removed at the next start");
        }
    }
}

impl Spooled {
    pub(super) fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.0.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// The file itself, to read at positions.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.0)
    }

    /// What an archive's plan lays out from `from` on, as a stream.
    pub(super) fn stream(&self, plan: Arc<Plan<u64>>, from: u64) -> Pumped {
        let spooled = self.clone();
        pumped(move |send| {
            for piece in plan.range(from..plan.len()) {
                let wants_more = match piece {
                    Piece::Inline(bytes) => send(Ok(bytes)),
                    Piece::Stored { source, range, .. } => spooled.pump(source + range.start..source + range.end, send),
                };
                if !wants_more {
                    return;
                }
            }
        })
    }

    /// Hands on a part of the file; false when nobody wants more.
    fn pump(&self, range: std::ops::Range<u64>, send: &mut dyn FnMut(io::Result<Bytes>) -> bool) -> bool {
        let mut at = range.start;
        while at < range.end {
            let part = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
            let read = self.read(at, part).map(Bytes::from);
            let failed = read.is_err();
            if !send(read) || failed {
                return false;
            }
            at += part as u64;
        }
        true
    }
}

/// What a reader that blocks hands on; it ends when nobody reads.
#[derive(Debug)]
pub(super) struct Pumped(mpsc::Receiver<io::Result<Bytes>>);

/// Begins to read.
pub(super) fn pumped(work: impl FnOnce(&mut dyn FnMut(io::Result<Bytes>) -> bool) + Send + 'static) -> Pumped {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || work(&mut |part| sender.blocking_send(part).is_ok()));
    Pumped(receiver)
}

impl Stream for Pumped {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Takes in bytes and what an archive must know of them.
#[derive(Debug, Default)]
pub(super) struct Measured(Tally);

impl Measured {
    pub(super) fn push(&mut self, spool: &mut Spool, bytes: &[u8]) -> Result<()> {
        self.0.update(bytes);
        spool.push(bytes).map(drop)
    }

    pub(super) fn finish(self) -> Summary {
        self.0.finish()
    }
}

fn free(dir: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(dir).map_err(|error| disk(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

pub(super) fn disk(error: io::Error) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Error::full("Our disk is full. Try again later; nothing was changed.").because(error);
    }
    Error::bug(error)
}

pub(super) fn human(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
