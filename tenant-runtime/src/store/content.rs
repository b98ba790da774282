//! The local copy of a home's database: a folder with SQLite's files, one writing and a few reading connections.
//!
//! The copy may vanish at any time, and need not be whole; the bucket is the truth. SQLite therefore never flushes (`synchronous=OFF`) and
//! never checkpoints by itself, because only the keeper knows which part of the log has been published.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bucket::Bucket;
use super::error::Error;
use super::options::Options;
use super::pack::blocking;
use super::pages::Pages;
use super::segment::PAGE;
use super::vfs;

const DATABASE: &str = "main.db";

/// A folder with a database in it.
pub(super) struct Content {
    folder: PathBuf,
    /// Open as long as the content is used: closing any descriptor of the file would drop SQLite's locks on it.
    pub(super) file: Arc<File>,
    /// The pages of that file, of which some may still be in the bucket alone.
    pub(super) pages: Pages,
    /// The pages the head's hot object holds, counted from 1; nothing when that is not known.
    pub(super) hot: Mutex<Option<BTreeSet<u32>>>,
    options: Options,
    idle: Mutex<Vec<Connection>>,
    slots: Arc<Semaphore>,
    doomed: AtomicBool,
}

impl Content {
    /// The content in `folder`, which is made when it is missing; pages it lacks lie in `bucket`.
    pub(super) fn open(folder: PathBuf, options: Options, bucket: &Bucket) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(Error::cache("make a folder"))?;
        // As SQLite will know it, which follows links.
        let folder = folder.canonicalize().map_err(Error::cache("make a folder"))?;
        let file = File::options().read(true).write(true).create(true).truncate(false).open(folder.join(DATABASE));
        let file = Arc::new(file.map_err(Error::cache("open the database file"))?);
        let slots = Arc::new(Semaphore::new(options.readers));
        let pages = Pages::here(bucket.clone(), Arc::clone(&file));
        vfs::know(folder.join(DATABASE), pages.clone())?;
        let (idle, hot, doomed) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Ok(Self { folder, file, pages, hot, options, idle, slots, doomed })
    }

    /// Whether a database of so many pages is fetched whole.
    pub(super) fn is_small(&self, pages: u32) -> bool {
        u64::from(pages) * PAGE as u64 <= self.options.whole_bytes
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// SQLite's write-ahead log.
    pub(super) fn wal(&self) -> PathBuf {
        self.folder.join("main.db-wal")
    }

    /// Where the end of that log is kept while its fate is not known.
    pub(super) fn aside(&self) -> PathBuf {
        self.folder.join("main.db-aside")
    }

    /// Forgets what an unclean stop may have left beside the database file; nobody may have the database open. The files
    /// themselves stay, because at the next opening they would only be made again: an empty log says nothing, and whoever
    /// opens the database first empties the log's index.
    pub(super) fn forget_log(&self) -> Result<(), Error> {
        self.forget("main.db-aside")?;
        match File::options().write(true).truncate(true).open(self.wal()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::cache("empty an old log")(e)),
            _ => Ok(()),
        }
    }

    /// Forgets SQLite's index of its log, which it makes anew from the log; nobody may have the database open.
    pub(super) fn forget_index(&self) -> Result<(), Error> {
        self.forget("main.db-shm")
    }

    fn forget(&self, name: &str) -> Result<(), Error> {
        match fs::remove_file(self.folder.join(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::cache("remove an old log")(e)),
            _ => Ok(()),
        }
    }

    /// The connection through which all changes go.
    pub(super) fn writing(&self) -> Result<Connection, Error> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags_and_vfs(self.folder.join(DATABASE), flags, vfs::NAME)?;
            // Only a checkpoint ever waits, for readers; writes must not wait long behind it.
            db.busy_timeout(Duration::from_millis(50))?;
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            plan_once(&db)?;
            db.execute_batch(&format!(
                "pragma page_size = {PAGE}; pragma journal_mode = wal; pragma synchronous = off;
                 pragma wal_autocheckpoint = 0; pragma foreign_keys = on; pragma temp_store = memory;
                 pragma cache_size = -{};",
                self.options.cache_kib
            ))?;
            if let Some(most) = self.options.database_bytes {
                db.pragma_update(None, "max_page_count", (most / PAGE as u64).clamp(1, u32::MAX.into()) as i64)?;
            }
            Ok(db)
        };
        unless_missing(open().map_err(Error::database("be opened")))
    }

    fn reading(&self) -> Result<Connection, Error> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags_and_vfs(self.folder.join(DATABASE), flags, vfs::NAME)?;
            plan_once(&db)?;
            db.execute_batch(&format!(
                "pragma query_only = on; pragma temp_store = memory; pragma cache_size = -{};",
                self.options.cache_kib
            ))?;
            Ok(db)
        };
        unless_missing(open().map_err(Error::database("be opened for reading")))
    }

    /// Runs `f` on one consistent state; `seen` is asked at its end, while that state is still the one read.
    pub(super) async fn read<T, S>(
        self: &Arc<Self>,
        f: impl FnOnce(&Connection) -> T + Send + 'static,
        seen: impl FnOnce() -> S + Send + 'static,
    ) -> Result<(T, S), Error>
    where
        T: Send + 'static,
        S: Send + 'static,
    {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Error::Asleep)?;
        let this = Arc::clone(self);
        blocking(move || {
            let kept = this.idle.lock().pop();
            let db = match kept {
                Some(db) => db,
                None => this.reading()?,
            };
            vfs::failure();
            unless_missing(at_once(&db, "begin").map_err(Error::database("begin to read")))?;
            let value = f(&db);
            let seen = seen();
            let failure = vfs::failure();
            // After an I/O error SQLite may have ended the transaction itself; such a connection is not kept.
            if at_once(&db, "rollback").is_ok() {
                this.idle.lock().push(db);
            }
            drop(slot);
            // Whatever `f` made of it: it has not seen what it asked for.
            failure.map_or(Ok((value, seen)), Err)
        })
        .await
    }

    /// Waits until nobody reads, and closes the reading connections; nobody reads while the guard lives.
    pub(super) async fn quiet(&self) -> Result<OwnedSemaphorePermit, Error> {
        let all = u32::try_from(self.options.readers).unwrap_or(u32::MAX);
        let guard = Arc::clone(&self.slots).acquire_many_owned(all).await.map_err(|_| Error::Asleep)?;
        self.idle.lock().clear();
        Ok(guard)
    }

    /// Lets no read begin any more; those under way finish.
    pub(super) fn close(&self) {
        self.slots.close();
        self.idle.lock().clear();
    }

    /// Closes reading connections nobody uses; says whether there were any.
    pub(super) fn shed(&self) -> bool {
        let mut idle = self.idle.lock();
        let any = !idle.is_empty();
        *idle = Vec::new();
        any
    }

    /// The folder is to go when nobody uses it any more.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }

    /// Makes a freshly laid down database one that needs no log beside it, for it will only be read.
    pub(super) fn seal(&self) -> Result<(), Error> {
        let seal = || {
            // Bytes 18 and 19 say which journal a database is written and read with; 1 is the one without a log.
            if self.file.metadata()?.len() > 0 { self.file.write_all_at(&[1, 1], 18) } else { Ok(()) }
        };
        seal().map_err(Error::cache("seal a snapshot"))
    }
}

/// A statement is planned when it is first used and never again for what is bound to it; otherwise SQLite would plan
/// every `limit ?` anew, which takes longer than finding what is asked for.
fn plan_once(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Runs a statement that begins or ends a transaction.
fn at_once(db: &Connection, text: &str) -> rusqlite::Result<()> {
    db.prepare_cached(text)?.execute([])?;
    Ok(())
}

/// A page that could not be brought explains an error better than SQLite does.
pub(super) fn unless_missing<T>(end: Result<T, Error>) -> Result<T, Error> {
    match vfs::failure() {
        Some(failure) if end.is_err() => Err(failure),
        _ => end,
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        vfs::forget(&self.folder.join(DATABASE));
        if *self.doomed.get_mut() {
            self.idle.get_mut().clear();
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}
