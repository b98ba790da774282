//! Where packages wait: files without a name, found by a number that cannot be guessed, each for one server.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;

use crate::{Error, Result};

/// How long a package waits.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);
/// How many wait at once; the oldest goes first.
const MOST: usize = 64;

/// The packages that wait.
#[derive(Default)]
pub(crate) struct Desk(Mutex<HashMap<String, Kept>>);

struct Kept {
    server: ServerId,
    since: Timestamp,
    from: String,
    file: Arc<File>,
    size: usize,
}

impl Desk {
    /// Keeps a package, in place of any other that waits for this server.
    pub(super) async fn put(
        &self,
        folder: &Path,
        now: Timestamp,
        server: ServerId,
        from: String,
        bytes: Bytes,
    ) -> Result<String> {
        let id = hex::encode(rand::random::<[u8; 16]>());
        let (path, size) = (folder.join(format!("package-{id}")), bytes.len());
        let file = tokio::task::spawn_blocking(move || nameless(&path, &bytes)).await.map_err(Error::bug)?;
        let file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => {
                Error::full("This host has no room for it just now. Nothing was installed.")
            }
            _ => Error::bug(error),
        })?;
        let mut all = self.0.lock();
        all.retain(|_, kept| kept.server != server && now.duration_since(kept.since) < PATIENCE);
        while all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.since).map(|(id, _)| id.clone());
            oldest.and_then(|id| all.remove(&id));
        }
        all.insert(id.clone(), Kept { server, since: now, from, file: Arc::new(file), size });
        Ok(id)
    }

    /// Where a package came from, and its bytes.
    pub(super) async fn get(&self, now: Timestamp, server: ServerId, id: &str) -> Result<(String, Bytes)> {
        let found = {
            let all = self.0.lock();
            let kept = all.get(id).filter(|kept| kept.server == server && now.duration_since(kept.since) < PATIENCE);
            kept.map(|kept| (kept.from.clone(), Arc::clone(&kept.file), kept.size))
        };
        let gone = "This package does not wait here any more; it is kept for half an hour. Nothing was installed. Choose it again.";
        let (from, file, size) = found.ok_or_else(|| Error::gone(gone))?;
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, 0).map(|()| bytes)
        });
        let bytes = read.await.map_err(Error::bug)?.map_err(Error::bug)?;
        Ok((from, bytes.into()))
    }

    /// Lets go of a package.
    pub(super) fn forget(&self, id: &str) {
        self.0.lock().remove(id);
    }
}

/// A file that is gone as soon as nobody holds it.
fn nameless(path: &Path, bytes: &[u8]) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    std::fs::remove_file(path)?;
    file.write_all_at(bytes, 0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_package_waits_for_one_server_for_half_an_hour_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (desk, now) = (Desk::default(), Timestamp::UNIX_EPOCH);
        let (anna, ben) = (ServerId::new(1), ServerId::new(2));
        let put = |server, from: &str, text: &'static str| {
            desk.put(folder.path(), now, server, from.to_owned(), Bytes::from_static(text.as_bytes()))
        };
        let first = put(anna, "a.zip", "one").await.unwrap();
        let other = put(ben, "b.zip", "two").await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(desk.get(now, anna, &first).await.unwrap(), ("a.zip".to_owned(), Bytes::from_static(b"one")));
        assert!(desk.get(now, ben, &first).await.is_err(), "another server's");
        assert!(desk.get(now + PATIENCE, anna, &first).await.is_err(), "too late");
        put(anna, "c.zip", "three").await.unwrap();
        assert!(desk.get(now, anna, &first).await.is_err(), "replaced");
        assert!(desk.get(now, ben, &other).await.is_ok());
        desk.forget(&other);
        assert!(desk.get(now, ben, &other).await.is_err(), "forgotten");
    }
}
