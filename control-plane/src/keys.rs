//! Secrets of this instance: kept in the data directory, readable by nobody else, made once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use ed25519_dalek::SigningKey;
use export_format::signature::Signer;
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};

use crate::Error;

/// The secrets of one instance.
#[derive(Clone)]
pub struct Keys {
    handover: SigningKey,
    places: [u8; 32],
    identity: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("handover", &self.handover_public()).finish()
    }
}

/// Why the secrets cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("The key file {0} cannot be read or written.")]
    File(PathBuf, #[source] io::Error),
    #[error("The key file {0} does not hold a key. Restore it from a copy, or remove it to have a new key made.")]
    Spoiled(PathBuf),
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::new(crate::Kind::Fix, error.to_string()).because(error)
    }
}

impl Keys {
    /// Reads the secrets in `data_dir`, or makes them.
    pub(crate) fn in_dir(data_dir: &Path) -> Result<Self, KeyError> {
        let seed = secret(data_dir.join("keys").join("handover.ed25519"))?;
        let places = secret(data_dir.join("keys").join("places.key"))?;
        let identity = secret(data_dir.join("keys").join("provider.ed25519"))?;
        Ok(Self { handover: SigningKey::from_bytes(&seed), places, identity })
    }

    /// The key that seals what opens people's own storage.
    pub(crate) fn places(&self) -> &[u8; 32] {
        &self.places
    }

    /// The key by which the provider itself signs what it says to strangers.
    pub(crate) fn identity(&self) -> Signer {
        Signer::from_seed(&self.identity)
    }

    /// The key that signs hand-over tickets.
    pub(crate) fn handover(&self) -> &SigningKey {
        &self.handover
    }

    /// Its public half, in base64, as a runtime is told it.
    pub fn handover_public(&self) -> String {
        BASE64_STANDARD.encode(self.handover.verifying_key().as_bytes())
    }
}

/// The 32 bytes kept in `path`; made at the first asking.
fn secret(path: PathBuf) -> Result<[u8; 32], KeyError> {
    let text = kept(&path, || hex::encode(random_bytes()))?;
    hex::decode(text.trim()).ok().and_then(|seed| seed.try_into().ok()).ok_or(KeyError::Spoiled(path))
}

/// The text kept in `path`; made, and safely on the disk, at the first asking.
pub(crate) fn kept(path: &Path, make: impl FnOnce() -> String) -> Result<String, KeyError> {
    let failed = |error| KeyError::File(path.to_owned(), error);
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map_err(failed),
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let (text, half) = (make(), path.with_extension("half"));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&half, path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(failed)?;
    Ok(text)
}

/// 32 bytes that nobody can guess.
pub(crate) fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("a Linux kernel always has randomness to give");
    bytes
}

/// 32 bytes that nobody can guess, for cookies and links.
pub(crate) fn random_text() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random_bytes())
}

/// What we keep of a secret that somebody else holds.
pub(crate) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let one = Keys::in_dir(dir.path()).unwrap().handover_public();
        assert_eq!(one, Keys::in_dir(dir.path()).unwrap().handover_public());
        let file = dir.path().join("keys/handover.ed25519");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        fs::write(&file, "not a key").unwrap();
        assert!(matches!(Keys::in_dir(dir.path()), Err(KeyError::Spoiled(_))));
    }
}
