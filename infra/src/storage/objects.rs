//! Homes in an object store elsewhere.
//!
//! Invariant: an erased home never comes back half. That it is to go is written down first, in an object of its own;
//! then its head goes, without which nothing of it can be opened; then the rest. The note is deleted last, so an erasure
//! that was cut off is gone on with at the next start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutPayload};
use tenant_runtime::ids::ServerId;
use tenant_runtime::store::bucket;

use super::probe::{self, Flaw};
use super::{Held, PREFIX};

/// Where homes that are being erased are noted.
const ERASED: &str = "erased";

/// An object store elsewhere, or the part of one under a prefix. Clones share the connections.
#[derive(Clone)]
pub struct Objects {
    plain: Arc<dyn ObjectStore>,
    patient: Arc<dyn ObjectStore>,
    prefix: String,
    address: String,
    patience: Duration,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The clients would show more than anybody should read.
        f.debug_struct("Objects").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Objects {
    /// The objects under `prefix`. `plain` must repeat nothing by itself, `patient` may; `address` is for people.
    #[must_use]
    pub fn new(plain: Arc<dyn ObjectStore>, patient: Arc<dyn ObjectStore>, prefix: &str, address: String) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { plain, patient, prefix, address, patience: bucket::PATIENCE }
    }

    /// How long the store may take to answer a runtime before people are told.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long that is.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// What people know it by.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The objects of one server.
    #[must_use]
    pub fn home(&self, server: ServerId) -> bucket::Objects {
        self.below(&format!("{PREFIX}/{server}"))
    }

    /// Tries whether homes are safe here; see the module `probe`.
    ///
    /// # Errors
    /// [`Flaw`], which says what to do.
    pub async fn probe(&self) -> Result<(), Flaw> {
        probe::probe(&self.below("probe")).await
    }

    /// What a home takes, in bytes; 0 when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn usage(&self, server: ServerId) -> Result<u64, Error> {
        let sizes = self.patient.list(Some(&self.path(&format!("{PREFIX}/{server}"))));
        sizes.try_fold(0, |sum, line| async move { Ok(sum + line.size) }).await
    }

    /// The objects of a home, and their bytes.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn holds(&self, server: ServerId) -> Result<Held, Error> {
        let all = self.patient.list(Some(&self.path(&format!("{PREFIX}/{server}"))));
        all.try_fold(Held::default(), |held, line| async move {
            Ok(Held { objects: held.objects + 1, bytes: held.bytes + line.size })
        })
        .await
    }

    /// Deletes a home; no home is no error.
    ///
    /// # Errors
    /// When the store does not answer; what is left is deleted at the next start, or by asking again.
    pub async fn erase(&self, server: ServerId) -> Result<(), Error> {
        let note = self.path(&format!("{ERASED}/{server}"));
        self.patient.put(&note, PutPayload::new()).await?;
        let home = self.path(&format!("{PREFIX}/{server}"));
        gone(self.patient.delete(&home.clone().join("head")).await)?;
        // A write that was under way when its runtime ended may still land; it is met by the second round.
        for _ in 0..2 {
            let keys = self.patient.list(Some(&home)).map_ok(|line| line.location).boxed();
            let mut deleted = self.patient.delete_stream(keys);
            while let Some(end) = deleted.next().await {
                gone(end.map(drop))?;
            }
        }
        gone(self.patient.delete(&note).await)
    }

    /// Goes on with what an earlier run did not finish deleting.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn finish_erasing(&self) -> Result<(), Error> {
        let notes: Vec<_> = self.patient.list(Some(&self.path(ERASED))).try_collect().await?;
        for note in notes {
            if let Some(server) = note.location.filename().and_then(|name| name.parse().ok()) {
                self.erase(server).await?;
            }
        }
        Ok(())
    }

    fn below(&self, folder: &str) -> bucket::Objects {
        let (plain, patient) = (Arc::clone(&self.plain), Arc::clone(&self.patient));
        bucket::Objects::with_patient(plain, patient, &format!("{}{folder}", self.prefix))
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }
}

fn gone(end: Result<(), Error>) -> Result<(), Error> {
    match end {
        Err(Error::NotFound { .. }) => Ok(()),
        end => end,
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use tenant_runtime::store::bucket::Driver as _;

    use super::*;

    #[tokio::test]
    async fn a_home_is_measured_and_erased_even_in_two_runs_and_no_other_with_it() {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let store = Objects::new(Arc::clone(&memory), Arc::clone(&memory), "eu", "memory".to_owned());
        let (anna, berta) = (ServerId::new(1), ServerId::new(2));
        assert_eq!(store.usage(anna).await.expect("no home"), 0);
        for key in ["head", "seg/1", "blob/2"] {
            store.home(anna).put(key, vec![1; 1000].into()).await.expect("written");
        }
        store.home(berta).put("head", "b".into()).await.expect("written");
        assert_eq!(store.usage(anna).await.expect("a home"), 3000);

        store.erase(anna).await.expect("erased");
        store.erase(anna).await.expect("nothing left to erase");
        assert_eq!(store.usage(anna).await.expect("no home"), 0);
        assert_eq!(store.usage(berta).await.expect("a home"), 1);

        // As if killed right after it was noted.
        memory.put(&store.path(&format!("{ERASED}/{berta}")), PutPayload::new()).await.expect("noted");
        store.finish_erasing().await.expect("the rest is deleted");
        assert_eq!(memory.list(None).count().await, 0, "not even the note is left");
    }
}
