//! age's STREAM: chunks of 64 KiB, each sealed with its number.

use age_core::primitives::hkdf;
use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Tag};

use super::SealedError;

/// Plain bytes of every chunk but the last.
pub(super) const CHUNK: u64 = 64 * 1024;
/// What authenticates a chunk, behind it.
pub(super) const TAG: u64 = 16;
/// The nonce between header and chunks.
pub(super) const NONCE: usize = 16;

/// The file key: what the header hands to whoever may open the file.
pub(super) type FileKey = [u8; 16];

/// Seals and opens the chunks of one file.
#[derive(Clone)]
pub(super) struct Stream(ChaCha20Poly1305);

impl Stream {
    /// For the file with this key and nonce.
    pub(super) fn new(file_key: &FileKey, nonce: &[u8; NONCE]) -> Self {
        Self(ChaCha20Poly1305::new(&hkdf(nonce, b"payload", file_key).into()))
    }

    /// Seals a chunk in place and yields its tag.
    pub(super) fn seal(&self, number: u64, last: bool, chunk: &mut [u8]) -> [u8; TAG as usize] {
        let sealed = self.0.encrypt_in_place_detached(&nonce(number, last).into(), &[], chunk);
        sealed.expect("a chunk is shorter than 256 GiB").into()
    }

    /// Opens a chunk in place.
    pub(super) fn open(&self, number: u64, last: bool, chunk: &mut [u8], tag: &[u8]) -> Result<(), SealedError> {
        let tag: [u8; TAG as usize] = tag.try_into().map_err(|_| SealedError::Damaged)?;
        self.0
            .decrypt_in_place_detached(&nonce(number, last).into(), &[], chunk, &Tag::from(tag))
            .map_err(|_| SealedError::Damaged)
    }
}

/// The number in eleven bytes, big-endian, and a byte that tells the last chunk.
fn nonce(number: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// The number of the last chunk of so many plain bytes.
pub(super) fn last_chunk(plain: u64) -> u64 {
    plain.saturating_sub(1) / CHUNK
}

/// How many sealed bytes so many plain ones become.
pub(super) fn sealed_len(plain: u64) -> u64 {
    plain + (last_chunk(plain) + 1) * TAG
}

/// How many plain bytes are in so many sealed ones; none when no number of plain bytes becomes these.
pub(super) fn plain_len(sealed: u64) -> Option<u64> {
    let chunks = sealed.div_ceil(CHUNK + TAG);
    let plain = sealed.checked_sub(chunks * TAG)?;
    (chunks > 0 && sealed_len(plain) == sealed).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_go_both_ways() {
        for plain in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 10 * CHUNK + 7] {
            assert_eq!(plain_len(sealed_len(plain)), Some(plain), "{plain}");
        }
        // An empty last chunk behind a full one, and a last one shorter than its tag.
        for sealed in [0, 1, 15, CHUNK + TAG + 1, CHUNK + TAG + 16] {
            assert_eq!(plain_len(sealed), None, "{sealed}");
        }
    }
}
