//! Who vouches for an archive.
//!
//! The signature is OpenSSH's SSHSIG over `tagmanifest-sha256.txt`, which lists the digests of everything that lists
//! everything else; so one small signature covers the archive, and `ssh-keygen -Y verify` checks it on any machine.
//!
//! A key inside an archive proves nothing about it: whoever altered the archive could have put it there. So the
//! trusted key comes from outside ([`Trust`]); without one, a reader can only say by which key the archive is signed.

use std::fmt;
use std::str::FromStr;

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

/// The namespace of the signature; keeps it from being taken for a signature over anything else.
pub const NAMESPACE: &str = "pcc-export@v1";

/// The namespace of what servers say of themselves in a move ([`crate::moving`]).
pub const MOVE_NAMESPACE: &str = "pcc-move@v1";

/// A server's own ed25519 key, as an archive is signed with.
///
/// ```
/// use export_format::signature::Signer;
/// let signer = Signer::from_seed(&[7; 32]);
/// assert!(signer.public().to_string().starts_with("ssh-ed25519 AAAA"));
/// ```
#[derive(Clone)]
pub struct Signer(PrivateKey);

/// The public half of a [`Signer`]; as text, `ssh-ed25519 AAAA…`.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(PublicKey);

/// Why a key or signature is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// Not readable as a key.
    #[error("this is no usable OpenSSH key")]
    Key(#[source] ssh_key::Error),
    /// A key of another algorithm.
    #[error("only ed25519 keys are used; this one is {0}")]
    Algorithm(String),
    /// Not readable as a signature.
    #[error("this is no SSH signature")]
    Unreadable(#[source] ssh_key::Error),
    /// Right, but not in the one spelling, of another version, or with another hash.
    #[error("the signature is not spelled as ssh-keygen spells it, not of version 1, or not made with sha512")]
    Spelling,
    /// Made for another purpose.
    #[error("the signature was made for another purpose: its namespace is {0:?}")]
    Namespace(String),
    /// Does not fit the signed bytes.
    #[error("the signature does not fit what it signs")]
    Wrong(#[source] ssh_key::Error),
    /// Signing failed.
    #[error("the key could not sign")]
    Sign(#[source] ssh_key::Error),
}

/// By whom a reader expects an archive to be signed.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// By one of these keys, which came from outside the archive.
    Keys(Vec<SigningKey>),
    /// By whomever: the report names the key and says that it was not compared with a known one.
    #[default]
    Anyone,
}

impl Signer {
    /// The key with this ed25519 seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(PrivateKey::from(Ed25519Keypair::from_seed(seed)))
    }

    /// A new key from the system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self::from_seed(&rand::random())
    }

    /// Reads an unencrypted OpenSSH private key.
    ///
    /// # Errors
    /// When it cannot be read or is not ed25519.
    pub fn from_openssh(text: &str) -> Result<Self, SignatureError> {
        let key = PrivateKey::from_openssh(text).map_err(SignatureError::Key)?;
        match key.key_data() {
            KeypairData::Ed25519(_) => Ok(Self(key)),
            _ => Err(SignatureError::Algorithm(key.algorithm().to_string())),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SigningKey {
        SigningKey(PublicKey::new(self.0.public_key().key_data().clone(), ""))
    }

    /// Signs `message`, as `ssh-keygen -Y sign -n pcc-export@v1` does.
    ///
    /// # Errors
    /// Only when the key is unusable.
    pub fn sign(&self, message: &[u8]) -> Result<String, SignatureError> {
        self.sign_for(NAMESPACE, message)
    }

    /// Signs `message` for another purpose, as `ssh-keygen -Y sign -n` with its namespace does.
    ///
    /// # Errors
    /// Only when the key is unusable.
    pub fn sign_for(&self, namespace: &str, message: &[u8]) -> Result<String, SignatureError> {
        armoured(&self.0.sign(namespace, HashAlg::Sha512, message).map_err(SignatureError::Sign)?)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

impl SigningKey {
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The name that the key gives by itself: `did:key:z6Mk…`.
    ///
    /// ```
    /// use export_format::signature::Signer;
    /// let key = Signer::from_seed(&[0; 32]).public();
    /// assert_eq!(key.did(), "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp");
    /// ```
    #[must_use]
    pub fn did(&self) -> String {
        format!("did:key:{}", self.multibase())
    }

    /// The key in the spelling of DID documents: multicodec ed25519-pub, base 58.
    #[must_use]
    pub fn multibase(&self) -> String {
        let mut bytes = vec![0xed, 0x01];
        if let KeyData::Ed25519(key) = self.0.key_data() {
            bytes.extend_from_slice(key.as_ref());
        }
        format!("z{}", base58(&bytes))
    }

    /// The key that a `did:key:…` names, where it is one of this kind.
    ///
    /// ```
    /// use export_format::signature::{Signer, SigningKey};
    /// let key = Signer::from_seed(&[7; 32]).public();
    /// assert_eq!(SigningKey::of_did(&key.did()).map(|found| found.fingerprint()), Some(key.fingerprint()));
    /// assert!(SigningKey::of_did("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2do").is_none());
    /// ```
    #[must_use]
    pub fn of_did(did: &str) -> Option<Self> {
        let bytes = from_base58(did.strip_prefix("did:key:z")?)?;
        let key: [u8; 32] = bytes.strip_prefix(&[0xed, 0x01])?.try_into().ok()?;
        Some(Self(PublicKey::new(KeyData::Ed25519(ssh_key::public::Ed25519PublicKey(key)), "")))
    }
}

/// Checks a signature against the key that stands in it, and returns that key.
///
/// # Errors
/// When it cannot be read, is spelled in another way than `ssh-keygen` does, was made for another purpose, by another
/// kind of key or hash, or does not fit `message`.
pub fn signed_by(signature: &[u8], message: &[u8]) -> Result<SigningKey, SignatureError> {
    signed_for(NAMESPACE, signature, message)
}

/// The same for a signature of another purpose.
///
/// # Errors
/// As [`signed_by`].
pub fn signed_for(namespace: &str, signature: &[u8], message: &[u8]) -> Result<SigningKey, SignatureError> {
    let text = signature;
    let signature = SshSig::from_pem(text).map_err(SignatureError::Unreadable)?;
    if signature.namespace() != namespace {
        return Err(SignatureError::Namespace(signature.namespace().to_owned()));
    }
    if signature.algorithm() != Algorithm::Ed25519 {
        return Err(SignatureError::Algorithm(signature.algorithm().to_string()));
    }
    if signature.version() != 1 || signature.hash_alg() != HashAlg::Sha512 || armoured(&signature)?.as_bytes() != text {
        return Err(SignatureError::Spelling);
    }
    let key = PublicKey::new(signature.public_key().clone(), "");
    key.verify(namespace, message, &signature).map_err(SignatureError::Wrong)?;
    Ok(SigningKey(key))
}

fn armoured(signature: &SshSig) -> Result<String, SignatureError> {
    let pem = signature.to_pem(LineEnding::LF).map_err(SignatureError::Sign)?;
    Ok(if pem.ends_with('\n') { pem } else { pem + "\n" })
}

/// Bitcoin's alphabet.
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The bytes of a short text in base 58.
fn from_base58(text: &str) -> Option<Vec<u8>> {
    if text.len() > 64 {
        return None;
    }
    // The least significant byte first.
    let mut bytes: Vec<u8> = Vec::new();
    for letter in text.bytes() {
        let mut carry = u32::try_from(ALPHABET.iter().position(|known| *known == letter)?).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push((carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    bytes.extend(text.bytes().take_while(|letter| *letter == ALPHABET[0]).map(|_| 0));
    bytes.reverse();
    Some(bytes)
}

/// Base 58 in Bitcoin's alphabet, as multibase `z` wants it.
fn base58(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).map(|_| '1');
    zeros.chain(digits.iter().rev().map(|digit| char::from(ALPHABET[usize::from(*digit)]))).collect()
}

impl FromStr for SigningKey {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let key = PublicKey::from_openssh(text.trim()).map_err(SignatureError::Key)?;
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(SignatureError::Algorithm(key.algorithm().to_string()));
        }
        Ok(Self(PublicKey::new(key.key_data().clone(), "")))
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_openssh().map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signature_fits_one_message_one_key_one_purpose() {
        let signer = Signer::from_seed(&[3; 32]);
        let signature = signer.sign(b"hello").unwrap();
        assert_eq!(signature, signer.sign(b"hello").unwrap(), "signing is deterministic");
        assert_eq!(signed_by(signature.as_bytes(), b"hello").unwrap(), signer.public());
        assert!(matches!(signed_by(signature.as_bytes(), b"hellO"), Err(SignatureError::Wrong(_))));
        let other = signer.0.sign("file", HashAlg::Sha512, b"hello").unwrap().to_pem(LineEnding::LF).unwrap();
        assert!(matches!(signed_by(other.as_bytes(), b"hello"), Err(SignatureError::Namespace(_))));
        let weaker = signer.0.sign(NAMESPACE, HashAlg::Sha256, b"hello").unwrap().to_pem(LineEnding::LF).unwrap();
        assert!(matches!(signed_by(weaker.as_bytes(), b"hello"), Err(SignatureError::Spelling)));
        for other in [signature.replace('\n', "\r\n"), format!("{signature}\n"), signature.trim_end().to_owned()] {
            assert!(signed_by(other.as_bytes(), b"hello").is_err(), "{other:?}");
        }
        assert_eq!(signer.public().to_string().parse::<SigningKey>().unwrap(), signer.public());
    }
}
