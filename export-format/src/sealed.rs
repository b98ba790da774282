//! A whole archive sealed: `.pcc.zip.age`, with an exact length and any range, as the archive inside has them.
//!
//! The form is age v1 (<https://age-encryption.org/v1>), so `age -d` opens it anywhere. The header (who may open it) is
//! made and read by the `age` crate. What follows it is done here, for age's own writer cannot begin in the middle:
//! the STREAM construction, ChaCha20-Poly1305 over chunks of 64 KiB, each with its number and whether it is the last
//! in its nonce. So every chunk is a function of its number and its plain bytes, and a download goes on anywhere.
//!
//! Invariants:
//! - One key seals one content. The nonce in the file is derived from the file key and the content's fingerprint
//!   ([`Envelope::around`]), so an envelope that is used again, for other bytes, has another key.
//! - Nothing is given out that was not authenticated. The last chunk is opened first, so that the length is
//!   authenticated before anything else: a cut file, exchanged chunks and anything behind the end are refused.
//!
//! Fails by [`SealedError`], which tells a wrong passphrase from a damaged file as far as that can be told.

mod either;
mod open;
mod seal;
mod stream;

pub use either::Bytes;
pub use open::{Forward, Key, Lock, Opened, Unlocked, lock};
pub use seal::{Envelope, Sealed, Sealer};

/// The work, as a power of two, that a passphrase costs whoever seals with it.
///
/// Fixed rather than measured, so that a fast machine does not seal what a slow one takes minutes to open. It takes
/// 2^16 · 1 KiB = 64 MiB of memory while the passphrase becomes a key; that is given back before the first byte is sealed
/// or opened. Less would make guessing cheaper, and memory is what guessing costs.
pub const WORK: u8 = 16;

/// The longest header that is read, in bytes; over a hundred keys fit in.
pub const MAX_HEADER: usize = 16 * 1024;

/// How many bytes at the start of a sealed file are needed to unlock it: the longest header, and age's own nonce.
pub const START: usize = MAX_HEADER + stream::NONCE;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// Sealing failed.
    #[error("the archive could not be sealed")]
    Seal(#[source] age::EncryptError),
    /// A text that is no age key.
    #[error("this is no age key: {0}")]
    Key(&'static str),
    /// No age file, or one whose header is damaged or longer than [`MAX_HEADER`].
    #[error("this is no sealed archive, or its first lines are damaged")]
    Header,
    /// Another passphrase or key is needed.
    #[error("the passphrase or key is another than the one the archive is sealed with")]
    Wrong,
    /// It opens with a key and not with a passphrase.
    #[error("the archive is sealed to a key, not with a passphrase")]
    NotByPassphrase,
    /// It opens with a passphrase and not with a key.
    #[error("the archive is sealed with a passphrase, not to a key")]
    NotByKey,
    /// Trying the passphrase would take more work and memory than the reader allows.
    #[error("trying a passphrase would take {} of memory, which is more than is allowed here", memory(*.needed))]
    Work {
        /// The work it takes, as a power of two.
        needed: u8,
    },
    /// Not as it was sealed: cut, changed, out of order, or with something behind its end.
    #[error("the sealed archive is damaged: a part of it is missing or was changed")]
    Damaged,
    /// The file could not be read.
    #[error("the sealed archive could not be read")]
    Read(#[source] std::io::Error),
}

/// What scrypt with r = 8 takes at a work of 2^`work`.
fn memory(work: u8) -> String {
    match work {
        0..20 => format!("{} MiB", (1_u64 << work) / 1024),
        20..50 => format!("{} GiB", (1_u64 << work) / 1024 / 1024),
        _ => "no end".to_owned(),
    }
}
