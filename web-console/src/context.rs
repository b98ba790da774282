//! What every page of the console works with: the control plane below it, the catalogue, the key of its forms.

use std::path::Path;
use std::sync::Arc;

use control_plane::ControlPlane;
use control_plane::catalogue::Catalogue;
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
pub struct Console(Arc<Parts>);

impl Console {
    /// The console over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn plane(&self) -> &ControlPlane {
        &self.0.plane
    }

    pub(crate) fn operations(&self) -> control_plane::operations::Operations {
        self.0.plane.operations()
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
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
