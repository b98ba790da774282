//! What every page of the console works with: the control plane below it, the catalogue, the key of its forms.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use control_plane::ControlPlane;
use control_plane::catalogue::Catalogue;
use control_plane::packages::updates;
use tokio_util::sync::CancellationToken;

use crate::config::Scheme;
use crate::cookies::Cookies;

/// What the console is made of.
pub struct Parts {
    /// The control plane, to which pages write intent.
    pub plane: ControlPlane,
    /// The apps on offer.
    pub catalogue: Catalogue,
    /// Signs the hidden token of every form and seals every session to its browser; kept across restarts, so that an open form still works after one.
    pub form_key: [u8; 32],
    /// What browsers speak: decides on the flags of cookies.
    pub scheme: Scheme,
    /// The sites domain proposed at set-up.
    pub proposed_domain: String,
    /// Ends the long answers (event streams) when the provider drains.
    pub stopping: CancellationToken,
}

/// The console, cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Parts>, Arc<RwLock<Arc<Catalogue>>>);

/// How long it is from one look at the catalogue, and at the servers that are awake, to the next.
const BETWEEN: Duration = Duration::from_secs(60);

impl Console {
    /// The console over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let catalogue = Arc::new(RwLock::new(Arc::new(parts.catalogue.clone())));
        Self(Arc::new(parts), catalogue)
    }

    pub(crate) fn plane(&self) -> &ControlPlane {
        &self.0.plane
    }

    pub(crate) fn operations(&self) -> control_plane::operations::Operations {
        self.0.plane.operations()
    }

    /// The catalogue as it was last read.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.1.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn put_catalogue(&self, catalogue: Catalogue) {
        *self.1.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(catalogue);
    }

    /// Reads the catalogue again from time to time and offers what is new in it to the servers that are awake.
    pub async fn keep_up_to_date(self) {
        let mut looked = updates::Looked::default();
        loop {
            tokio::select! {
                () = self.stopping().cancelled() => return,
                () = tokio::time::sleep(BETWEEN) => {}
            }
            match self.catalogue().anew().await {
                Ok(new) if new.made() != self.catalogue().made() => {
                    tracing::info!(apps = new.list().len(), "the catalogue was read anew");
                    self.put_catalogue(new);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::info!(cause = %error, "the catalogue could not be read anew; the last one stays")
                }
            }
            updates::offer(self.plane(), &self.catalogue(), &mut looked).await;
        }
    }

    pub(crate) fn form_key(&self) -> &[u8; 32] {
        &self.0.form_key
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    pub(crate) fn cookies(&self) -> Cookies<'_> {
        Cookies { scheme: self.0.scheme, key: &self.0.form_key }
    }

    pub(crate) fn proposed_domain(&self) -> &str {
        &self.0.proposed_domain
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }
}

/// The key that signs form tokens: read from its file, made at the first start.
pub(crate) fn form_key(data: &Path) -> std::io::Result<[u8; 32]> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let path = data.join("console.key");
    if let Ok(bytes) = std::fs::read(&path)
        && let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice())
    {
        return Ok(key);
    }
    let key: [u8; 32] = rand::random();
    let fresh = data.join("console.key.new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&fresh, &path)?;
    Ok(key)
}
