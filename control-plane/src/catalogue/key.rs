//! Who vouches for a catalogue: an Ed25519 key in OpenSSH form, and signatures that OpenSSH can check.

use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use super::error::Error;

/// The SSHSIG namespace, so that a signature made for something else is never taken for one of a catalogue.
pub const NAMESPACE: &str = "freehold-catalogue@v1";

/// The largest signature file that is read.
pub(super) const MAX_SIGNATURE_BYTES: u64 = 16 << 10;

/// The key a catalogue is signed with.
#[derive(Debug, Clone)]
pub struct SigningKey(PrivateKey);

impl SigningKey {
    /// A key made from 32 secret bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
        Self(PrivateKey::new(pair, "freehold catalogue").expect("an unencrypted Ed25519 pair is a private key"))
    }

    /// The key in a file, made there (readable by its owner only) when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds no unencrypted Ed25519 key.
    pub fn open_or_make(path: &Path) -> Result<Self, Error> {
        match Self::open(path) {
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let key = Self::from_seed(&rand::random());
        let failed = |source| Error::Write { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let pem = key.0.to_openssh(LineEnding::LF).expect("an unencrypted key has a text form");
        write_secret(path, pem.as_bytes()).map_err(failed)?;
        Ok(key)
    }

    /// The key in a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no unencrypted Ed25519 key.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let pem = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let refuse = || Error::Key { what: path.display().to_string() };
        let key = PrivateKey::from_openssh(pem).map_err(|_| refuse())?;
        if key.is_encrypted() || key.algorithm() != Algorithm::Ed25519 {
            return Err(refuse());
        }
        Ok(Self(key))
    }

    /// The public half, to give to those who follow the catalogue.
    #[must_use]
    pub fn trusted(&self) -> TrustedKey {
        TrustedKey(self.0.public_key().clone())
    }

    /// A detached signature in OpenSSH's armoured form.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_for(NAMESPACE, message)
    }

    /// The same for another purpose.
    pub(super) fn sign_for(&self, namespace: &str, message: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(namespace, HashAlg::Sha512, message).expect("an unencrypted key signs");
        signature.to_pem(LineEnding::LF).expect("a signature has a text form").into_bytes()
    }
}

/// Written beside and renamed, so that a cut never leaves half a key; mode 0600 from the first byte.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// The public key a catalogue is believed by. It comes from outside the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey(PublicKey);

impl TrustedKey {
    /// Refuses an index that this key has not signed for this purpose.
    pub(super) fn verify(&self, index: &[u8], signature: &[u8], at: &str) -> Result<(), Error> {
        let refuse = |why: &str| Error::Signature { at: at.to_owned(), why: why.to_owned() };
        let signature =
            SshSig::from_pem(signature).map_err(|_| refuse("its signature file is not an SSH signature"))?;
        if signature.namespace() != NAMESPACE {
            return Err(refuse("the signature was made for another purpose"));
        }
        if signature.public_key() != self.0.key_data() {
            return Err(refuse("another key signed it"));
        }
        self.0.verify(NAMESPACE, index, &signature).map_err(|_| refuse("the index was changed after signing"))
    }
}

impl FromStr for TrustedKey {
    type Err = Error;

    /// Reads `ssh-ed25519 AAAA… [comment]`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Key { what: text.chars().take(80).collect() };
        let key = PublicKey::from_openssh(text.trim()).map_err(|_| refuse())?;
        if key.algorithm() == Algorithm::Ed25519 { Ok(Self(key)) } else { Err(refuse()) }
    }
}

impl std::fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_openssh().expect("a public key has a text form"))
    }
}
