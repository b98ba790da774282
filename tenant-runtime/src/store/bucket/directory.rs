//! A folder as a bucket, for a provider on one machine.
//!
//! Every object is written beside its place, flushed, renamed into it, and the folder flushed, so that a power cut
//! leaves the old object or the new one. The conditional write holds a lock of the whole bucket while it compares the
//! present content's hash with the expected one and renames. The crate `object_store` has no conditional replace for
//! folders, and its plain writes do not flush the folder; hence this driver of our own.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use export_format::Digest;
use futures::future::{BoxFuture, FutureExt as _};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{Driver, Expect, Listed, Put, Version, Writer};
use crate::store::error::{Error, is_storage_full};

const PENDING: &str = ".pending";
const LOCK: &str = ".lock";

/// A half-written file nobody touched for so long is nobody's.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A bucket in a local folder.
#[derive(Clone, Debug)]
pub struct Directory {
    root: Arc<Path>,
    swept: Arc<Once>,
    /// Held by a conditional write until it has ended, even if its caller has given up waiting: work on a blocking
    /// thread cannot be called back, and whoever then reads to learn the outcome must not read before it.
    replacing: Arc<Mutex<()>>,
}

impl Directory {
    /// The bucket in `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root: root.into(), swept: Arc::new(Once::new()), replacing: Arc::default() }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Runs blocking work and names what failed.
    fn run<'a, T: Send + 'static>(
        &'a self,
        doing: &'static str,
        key: &'a str,
        work: impl FnOnce(&Directory, &str) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, Error>> {
        let (this, owned) = (self.clone(), key.to_owned());
        async move {
            let end = tokio::task::spawn_blocking(move || work(&this, &owned)).await;
            end.map_err(|e| Error::unavailable(doing, key, e))?.map_err(|e| failure(doing, key, e))
        }
        .boxed()
    }

    /// A new file that will become an object.
    fn pending(&self) -> io::Result<(File, PathBuf)> {
        let folder = self.root.join(PENDING);
        make_folder(&folder)?;
        self.swept.call_once(|| sweep(&folder));
        let path = folder.join(format!("{:032x}", rand::random::<u128>()));
        Ok((File::create_new(&path)?, path))
    }

    /// Moves a finished file to its place; durable when it returns.
    fn place(&self, file: &File, from: &Path, key: &str) -> io::Result<()> {
        let to = self.path(key);
        let parent = to.parent().unwrap_or(&self.root);
        file.sync_all()?;
        make_folder(parent)?;
        fs::rename(from, &to)?;
        // From here on the outcome is unknown on failure, whatever the reason was.
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(|e| io::Error::other(e.to_string()))
    }

    fn write(&self, key: &str, body: &[u8]) -> io::Result<()> {
        let (mut file, path) = self.pending()?;
        let end = file.write_all(body).and_then(|()| self.place(&file, &path, key));
        if end.is_err() {
            // Either it was never moved, or the move is not known to be durable; the file is not needed then.
            fs::remove_file(&path).ok();
        }
        end
    }

    fn write_if(&self, key: &str, body: &[u8], expect: &Expect) -> io::Result<Put> {
        make_folder(&self.root)?;
        let lock = File::options().create(true).truncate(false).write(true).open(self.root.join(LOCK))?;
        lock.lock()?; // Released when the file is closed, also by death.
        let present = match fs::read(self.path(key)) {
            Ok(body) => Expect::Version(version(&body)),
            Err(e) if e.kind() == ErrorKind::NotFound => Expect::Absent,
            Err(e) => return Err(e),
        };
        if present != *expect {
            return Ok(Put::Refused);
        }
        self.write(key, body)?;
        Ok(Put::Done(version(body)))
    }
}

impl Driver for Directory {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        async move {
            drop(self.replacing.lock().await);
            let read = self.run("read", key, |this, key| match fs::read(this.path(key)) {
                Ok(body) => {
                    let version = version(&body);
                    Ok(Some((body.into(), version)))
                }
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e),
            });
            read.await
        }
        .boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.run("read", key, move |this, key| {
            let file = File::open(this.path(key))?;
            let mut body = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut body, range.start)?;
            Ok(body.into())
        })
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        self.run("look at", key, |this, key| match fs::metadata(this.path(key)) {
            Ok(meta) => Ok(Some(listed(key.to_owned(), &meta))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        })
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.run("write", key, move |this, key| this.write(key, &body))
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        let expect = expect.clone();
        async move {
            let replacing = Arc::clone(&self.replacing).lock_owned().await;
            let write = self.run("replace", key, move |this, key| {
                let end = this.write_if(key, &body, &expect);
                drop(replacing);
                end
            });
            write.await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.run("delete", key, |this, key| match fs::remove_file(this.path(key)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        self.run("list", prefix, |this, prefix| {
            // Only the folder the prefix ends in can hold matches.
            let folder = prefix.rfind('/').map_or("", |end| &prefix[..end]);
            let mut found = Vec::new();
            walk(&this.root, folder, &mut found)?;
            found.retain(|line| line.key.starts_with(prefix));
            Ok(found)
        })
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        async move {
            let (file, path) = self.run("begin", "an object", |this, _| this.pending()).await?;
            let draft = Draft { bucket: self.clone(), file: Arc::new(file), path, placed: false };
            Ok(Box::new(draft) as Box<dyn Writer>)
        }
        .boxed()
    }

    fn stride(&self) -> u64 {
        256 << 10
    }
}

/// A file that will become an object; dropping it removes the file.
struct Draft {
    bucket: Directory,
    file: Arc<File>,
    path: PathBuf,
    placed: bool,
}

impl Writer for Draft {
    fn write(&mut self, pieces: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>> {
        let file = Arc::clone(&self.file);
        self.bucket.run("write", "an object", move |_, _| pieces.iter().try_for_each(|piece| (&*file).write_all(piece)))
    }

    fn commit(mut self: Box<Self>, key: String) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            let (file, path) = (Arc::clone(&self.file), self.path.clone());
            self.bucket.run("write", &key, move |this, key| this.place(&file, &path, key)).await?;
            self.placed = true;
            Ok(())
        }
        .boxed()
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        async {}.boxed()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Removes what a process that was killed left half written; one still at work has touched its files lately.
fn sweep(folder: &Path) {
    let old = |file: &fs::DirEntry| {
        let touched = file.metadata().and_then(|meta| meta.modified()).ok();
        touched.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ABANDONED)
    };
    for file in fs::read_dir(folder).into_iter().flatten().flatten().filter(old) {
        fs::remove_file(file.path()).ok();
    }
}

fn version(body: &[u8]) -> Version {
    Version(Digest::of(body).to_string())
}

fn failure(doing: &'static str, key: &str, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::Missing { what: "object", name: key.to_owned() },
        ErrorKind::UnexpectedEof => Error::damaged(key, "it is shorter than it should be"),
        _ if is_storage_full(&error) => Error::Full { doing, what: key.to_owned() },
        _ => Error::unavailable(doing, key, error),
    }
}

/// Makes a folder and every folder above it, each durably known to its parent.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return Ok(()) };
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    if parent.as_os_str().is_empty() { Ok(()) } else { File::open(parent)?.sync_all() }
}

fn walk(root: &Path, folder: &str, found: &mut Vec<Listed>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let key = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => walk(root, &key, found)?,
            Ok(meta) => found.push(listed(key, &meta)),
            // Deleted while we looked.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn listed(key: String, meta: &fs::Metadata) -> Listed {
    let modified = meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    Listed { key, size: meta.len(), modified }
}
