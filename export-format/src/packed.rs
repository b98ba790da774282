//! A document as it stands in an archive: deflated whole, with everything the plan must know.
//!
//! Documents are dumped in pieces of at most 8 MiB and deflated in one call, which is several times faster than a
//! stream and lets a reader unpack each in memory it has set aside beforehand.

use std::fmt;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};

use crate::digest::Summary;
use crate::inflate::Inflater;

/// The longest content of a deflated entry, in bytes.
pub const MAX_DOCUMENT: usize = 8 * 1024 * 1024;
/// A deflated entry is at most this many times shorter than its content; what would be shorter still is stored plain,
/// so that a reader may refuse bombs by their declared sizes.
pub const MAX_RATIO: u64 = 100;

/// How an entry's content stands in the ZIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// As it is (method 0).
    Whole,
    /// Deflated (method 8) to this many bytes.
    Deflated {
        /// Length of the deflated bytes.
        bytes: u64,
    },
}

/// A document ready to be planned: what it is, and its bytes as they stand in the archive.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Size, digest and CRC of the content.
    pub summary: Summary,
    /// Whether `bytes` are deflated.
    pub stored: Stored,
    /// The bytes as they stand in the archive.
    pub bytes: Bytes,
}

/// A document longer than [`MAX_DOCUMENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a document of {size} bytes is longer than the {MAX_DOCUMENT} bytes allowed in one piece")]
pub struct DocumentTooLong {
    /// Its length.
    pub size: usize,
}

impl Packed {
    /// Packs a document: deflated where that is shorter, otherwise as it is. For many, keep a [`Packer`].
    ///
    /// # Errors
    /// When it is longer than [`MAX_DOCUMENT`].
    ///
    /// ```
    /// use export_format::packed::{Packed, Stored};
    /// let packed = Packed::document("la ".repeat(200).as_bytes())?;
    /// assert!(matches!(packed.stored, Stored::Deflated { bytes } if bytes < 100));
    /// # Ok::<(), export_format::packed::DocumentTooLong>(())
    /// ```
    pub fn document(content: &[u8]) -> Result<Self, DocumentTooLong> {
        let mut packer = Packer::new();
        let (summary, stored, bytes) = packer.pack(content)?;
        Ok(Self { summary, stored, bytes: Bytes::copy_from_slice(bytes) })
    }
}

/// Packs document after document in the same memory: less than 10 MiB, however many there are.
pub struct Packer {
    compressor: Compressor,
    deflated: Vec<u8>,
}

impl Packer {
    /// A packer that has packed nothing yet.
    #[must_use]
    pub fn new() -> Self {
        // Level 1: higher ones cost several times more for a few per cent; 0 does not compress at all.
        Self { compressor: Compressor::new(CompressionLvl::new(1).unwrap_or_default()), deflated: Vec::new() }
    }

    /// Packs a document as [`Packed::document`] does; yields its bytes as they are to stand in the archive.
    ///
    /// # Errors
    /// When it is longer than [`MAX_DOCUMENT`].
    ///
    /// ```
    /// use export_format::packed::{Packed, Packer};
    /// let mut packer = Packer::new();
    /// for content in ["la ".repeat(200), "lo ".repeat(100)] {
    ///     let alone = Packed::document(content.as_bytes())?;
    ///     assert_eq!(packer.pack(content.as_bytes())?, (alone.summary, alone.stored, &alone.bytes[..]));
    /// }
    /// # Ok::<(), export_format::packed::DocumentTooLong>(())
    /// ```
    pub fn pack<'p>(&'p mut self, content: &'p [u8]) -> Result<(Summary, Stored, &'p [u8]), DocumentTooLong> {
        if content.len() > MAX_DOCUMENT {
            return Err(DocumentTooLong { size: content.len() });
        }
        let summary = Summary::of(content);
        // What does not become shorter than its content is stored plain, so more room than that is never needed.
        if self.deflated.len() < content.len() {
            self.deflated.resize(content.len(), 0);
        }
        match self.compressor.deflate_compress(content, &mut self.deflated[..content.len()]) {
            Ok(length) if is_worth_it(content.len() as u64, length as u64) => {
                Ok((summary, Stored::Deflated { bytes: length as u64 }, &self.deflated[..length]))
            }
            _ => Ok((summary, Stored::Whole, content)),
        }
    }
}

/// The content of a packed document of `size` bytes; none when these are not the bytes of such a one.
///
/// ```
/// use export_format::packed::{Packed, Stored, unpack};
/// let text = "la ".repeat(200);
/// let packed = Packed::document(text.as_bytes())?;
/// assert_eq!(unpack(&packed.bytes, packed.stored, 600).as_deref(), Some(text.as_bytes()));
/// assert_eq!(unpack(&packed.bytes, packed.stored, 599), None);
/// # Ok::<(), export_format::packed::DocumentTooLong>(())
/// ```
#[must_use]
pub fn unpack(bytes: &[u8], stored: Stored, size: u64) -> Option<Vec<u8>> {
    match stored {
        Stored::Whole => (bytes.len() as u64 == size).then(|| bytes.to_vec()),
        Stored::Deflated { .. } if size > MAX_DOCUMENT as u64 => None,
        Stored::Deflated { .. } => Inflater::new().inflate(bytes, usize::try_from(size).ok()?).map(<[u8]>::to_vec),
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

/// Whether the profile allows content of `size` bytes to be deflated to `deflated` bytes.
#[must_use]
pub(crate) fn is_worth_it(size: u64, deflated: u64) -> bool {
    deflated < size && size <= deflated.saturating_mul(MAX_RATIO) && size <= MAX_DOCUMENT as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn short_noisy_and_monotonous_documents_stay_plain() {
        for content in [&b""[..], b"x", b"console.log(\"notes\")\n", &[0; 1 << 20]] {
            let packed = Packed::document(content).unwrap();
            assert_eq!(packed.stored, Stored::Whole);
            assert_eq!(packed.bytes, content);
        }
        assert!(Packed::document(&vec![b'a'; MAX_DOCUMENT + 1]).is_err());
    }
}
