//! SHA-256 digests, and the one pass over a file that yields everything an archive must know about it.
//!
//! Every file is named by its digest in storage and listed by it in the manifest; the ZIP layer wants a CRC-32 too.
//! [`Tally`] computes size, digest and CRC in one pass, so a file's bytes are read once when it arrives and its place
//! in any later archive can be planned without reading it again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest; as text, 64 lower-case hex digits.
///
/// ```
/// use export_format::Digest;
/// let empty = Digest::of(b"");
/// assert!(empty.to_string().starts_with("e3b0c442"));
/// assert_eq!(empty.to_string().parse::<Digest>(), Ok(empty));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest with these 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A text that is not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest is 64 lower-case hex digits")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        // `hex` takes upper case as well; one spelling only, so that equal digests are equal texts.
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an archive must know about a file's content: enough to plan its place without reading it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Summary {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub digest: Digest,
    /// CRC-32 (IEEE, as in ZIP) of the content.
    pub crc32: u32,
}

impl Summary {
    /// The summary of content held in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut tally = Tally::new();
        tally.update(bytes);
        tally.finish()
    }
}

/// Computes a [`Summary`] in one pass over content of any length.
///
/// ```
/// use export_format::digest::{Summary, Tally};
/// let mut tally = Tally::new();
/// tally.update(b"hello ");
/// tally.update(b"world");
/// assert_eq!(tally.finish(), Summary::of(b"hello world"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tally {
    size: u64,
    sha256: Sha256,
    crc32: crc32fast::Hasher,
}

const STEP: usize = 64 * 1024;

impl Tally {
    /// A tally of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        // In steps that stay in the processor's cache, since each byte is looked at twice.
        for part in bytes.chunks(STEP) {
            self.sha256.update(part);
            self.crc32.update(part);
        }
    }

    /// How many bytes were taken in so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The summary of all bytes taken in.
    #[must_use]
    pub fn finish(self) -> Summary {
        Summary { size: self.size, digest: Digest(self.sha256.finalize().into()), crc32: self.crc32.finalize() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let summary = Summary::of(b"123456789");
        assert_eq!(summary.crc32, 0xcbf4_3926);
        assert_eq!(summary.size, 9);
        assert_eq!(summary.digest.to_string(), "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
    }

    #[test]
    fn one_spelling_only() {
        let text = Digest::of(b"x").to_string();
        for wrong in [text.to_uppercase(), text[..62].to_owned(), format!("{text}0"), text.replace('a', "g")] {
            assert_eq!(wrong.parse::<Digest>(), Err(DigestError), "{wrong}");
        }
    }
}
