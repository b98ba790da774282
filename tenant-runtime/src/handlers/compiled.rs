//! Compiled components, in this host's cache.
//!
//! Only components travel, in packages and archives. What they are compiled to is made on the machine where it runs, by a
//! process that compiles just that one, and named by the component's digest and the engine's settings. The cache may go at any
//! time; what is in it was put there by this server and by nobody else.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use export_format::Digest;
use futures::TryStreamExt as _;
use parking_lot::Mutex;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::io::StreamReader;

use super::start::{Life, Starter};
use super::wire::{self, FromHost, LONGEST_CODE, SETTINGS, ToHost};
use super::{Refusal, frames};
use crate::apps::CodeFile;
use crate::store::Home;

/// How long compiling one may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// How soon a component is compiled again that ended its compiler.
const AFTER_ENDING: Duration = Duration::from_secs(60);

/// How much compiled code a server keeps, in bytes; what was used longest ago goes first.
const KEPT_BYTES: u64 = 512 << 20;

/// The compiled components of one server.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    /// One compiler at a time.
    turn: tokio::sync::Mutex<()>,
    /// Components that are none, and why; those that only ended their compiler are tried again after a while.
    refused: Mutex<HashMap<Digest, (String, Option<Instant>)>>,
}

/// What came of compiling.
enum Made {
    /// It is there.
    Code,
    /// It is no component that runs here.
    Nothing(String),
    /// The compiler ended without a word: it ran into one of its walls, or something ended it.
    Ended,
}

impl Compiled {
    /// The compiled code of a component; made if it is not there.
    pub(super) async fn of(
        &self,
        component: &CodeFile,
        home: &Home,
        cache: &Path,
        starter: &Starter,
    ) -> Result<File, Refusal> {
        let path = place(cache, &component.digest);
        if let Ok(file) = File::open(&path).await {
            return Ok(file);
        }
        let _turn = self.turn.lock().await;
        let refused = self.refused.lock().get(&component.digest).cloned();
        if let Some((why, until)) = refused
            && until.is_none_or(|until| Instant::now() < until)
        {
            return Err(Refusal::Broken(why));
        }
        if let Ok(file) = File::open(&path).await {
            return Ok(file);
        }
        let making = tokio::time::timeout(PATIENCE, compile(component, home, &path, starter)).await;
        let (why, until) = match making.unwrap_or(Ok(Made::Ended)) {
            Ok(Made::Code) => {
                make_room(&path).await;
                return File::open(&path).await.map_err(|_| later());
            }
            Ok(Made::Nothing(why)) => (why, None),
            Ok(Made::Ended) => {
                let why = "it takes more memory or time to compile than there is for it".to_owned();
                (why, Some(Instant::now() + AFTER_ENDING))
            }
            Err(error) => {
                tracing::warn!(cause = %error, "a component could not be compiled");
                return Err(later());
            }
        };
        self.refused.lock().insert(component.digest, (why.clone(), until));
        Err(Refusal::Broken(why))
    }

    /// Forgets what turned out to be of another engine, so that it is made anew.
    pub(super) async fn forget(&self, cache: &Path, digest: &Digest) {
        // What is not there need not be forgotten.
        let _ = fs::remove_file(place(cache, digest)).await;
    }
}

fn place(cache: &Path, digest: &Digest) -> PathBuf {
    super::folder(cache).join(format!("{digest}-{SETTINGS}.cwasm"))
}

fn later() -> Refusal {
    Refusal::Busy("Its code could not be made ready just now.".to_owned())
}

/// Has a component compiled into a file.
async fn compile(component: &CodeFile, home: &Home, to: &Path, starter: &Starter) -> io::Result<Made> {
    if component.size == 0 || component.size > LONGEST_CODE {
        return Ok(Made::Nothing("it is empty, or longer than a component may be".to_owned()));
    }
    let mut compiler = starter.start(Life::Compiler)?;
    let (mut hear, mut say) = compiler.socket.split();
    say.write_all(&wire::frame(&ToHost::Compile { bytes: component.size })?).await?;
    let bytes = home.blobs().get(&component.digest, 0..component.size).await.map_err(io::Error::other)?;
    tokio::io::copy(&mut StreamReader::new(bytes.map_err(io::Error::other)), &mut say).await?;
    match frames::read(&mut hear).await {
        Ok(Some(FromHost::Compiled { bytes })) if bytes <= LONGEST_CODE => {
            let fresh = to.with_extension("new");
            fs::create_dir_all(super::folder_of(to)).await?;
            let mut file = File::create(&fresh).await?;
            let copied = tokio::io::copy(&mut (&mut hear).take(bytes), &mut file).await?;
            if copied != bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.flush().await?;
            fs::rename(&fresh, to).await?;
            Ok(Made::Code)
        }
        Ok(Some(FromHost::NotCompiled(why))) => Ok(Made::Nothing(why.chars().take(600).collect())),
        Ok(Some(_)) => Err(io::Error::other("the compiler said something else")),
        Ok(None) | Err(_) => Ok(Made::Ended),
    }
}

/// Lets go of compiled code that was made longest ago, beyond what is kept.
async fn make_room(newest: &Path) {
    let mut all = Vec::new();
    let Ok(mut folder) = fs::read_dir(super::folder_of(newest)).await else { return };
    while let Ok(Some(entry)) = folder.next_entry().await {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "cwasm")
            && let Ok(meta) = entry.metadata().await
        {
            all.push((meta.modified().ok(), meta.len(), path));
        }
    }
    all.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
    let mut sum = 0;
    for (_, bytes, path) in all {
        sum += bytes;
        if sum > KEPT_BYTES && path != newest {
            // One that stays is looked at again the next time.
            let _ = fs::remove_file(path).await;
        }
    }
}
