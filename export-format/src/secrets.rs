//! Sealed files: secrets in an otherwise open archive, as age files that `age -d` opens.
//!
//! Always age's binary form (age-encryption.org/v1): sealed to a passphrase, or to a recipient's public key.

use age::secrecy::SecretString;

/// What every age file begins with.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// The most work, as a power of two, that opening with a passphrase may cost; more is an attack on the reader.
const MAX_WORK: u8 = 20;

/// Why a file could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Sealing failed.
    #[error("the secret could not be sealed")]
    Seal(#[source] age::EncryptError),
    /// Not this passphrase or key, or no sealed file.
    #[error("the secret could not be opened: the passphrase or key is another, or the file is damaged")]
    Open(#[source] age::DecryptError),
    /// A text that is no age key.
    #[error("this is no age key: {0}")]
    Key(&'static str),
}

/// Whether `content` begins as an age file does.
#[must_use]
pub fn is_sealed(content: &[u8]) -> bool {
    content.starts_with(MAGIC)
}

/// Seals `content` with a passphrase.
///
/// # Errors
/// When sealing fails.
///
/// ```
/// use export_format::secrets;
/// let sealed = secrets::seal(b"{\"keys\":[]}", "correct horse battery staple")?;
/// assert!(secrets::is_sealed(&sealed));
/// assert_eq!(secrets::open(&sealed, "correct horse battery staple")?, b"{\"keys\":[]}");
/// assert!(secrets::open(&sealed, "another").is_err());
/// # Ok::<(), secrets::SecretError>(())
/// ```
pub fn seal(content: &[u8], passphrase: &str) -> Result<Vec<u8>, SecretError> {
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
    // Fixed rather than measured, so that a fast machine does not seal what a slow one takes minutes to open.
    recipient.set_work_factor(16);
    age::encrypt(&recipient, content).map_err(SecretError::Seal)
}

/// Opens what [`seal`] or `age -p` sealed.
///
/// # Errors
/// When the passphrase is another or the file is damaged.
pub fn open(sealed: &[u8], passphrase: &str) -> Result<Vec<u8>, SecretError> {
    let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    identity.set_max_work_factor(MAX_WORK);
    age::decrypt(&identity, sealed).map_err(SecretError::Open)
}

/// Seals `content` to a recipient, `age1…`.
///
/// # Errors
/// When the recipient is no age public key or sealing fails.
pub fn seal_to(content: &[u8], recipient: &str) -> Result<Vec<u8>, SecretError> {
    let recipient: age::x25519::Recipient = recipient.parse().map_err(SecretError::Key)?;
    age::encrypt(&recipient, content).map_err(SecretError::Seal)
}

/// Opens what was sealed to the recipient of `identity`, `AGE-SECRET-KEY-1…`.
///
/// # Errors
/// When the identity is no age key, another one, or the file is damaged.
pub fn open_with(sealed: &[u8], identity: &str) -> Result<Vec<u8>, SecretError> {
    let identity: age::x25519::Identity = identity.parse().map_err(SecretError::Key)?;
    age::decrypt(&identity, sealed).map_err(SecretError::Open)
}
