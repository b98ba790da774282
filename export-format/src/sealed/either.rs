//! An archive that may be sealed, read as if it were not.

use std::io;

use super::{Opened, SealedError, Unlocked};
use crate::source::Source;

/// The plain bytes of an archive, whether it is sealed or not. What is opened is opened as it is read, and written down
/// nowhere.
///
/// ```
/// use export_format::sealed::{Bytes, Envelope, Key, Unlocked};
/// use export_format::source::Source;
/// use export_format::Digest;
/// let mut file = Vec::new();
/// Envelope::for_passphrase("four random words")?.around(5, &Digest::of(b"hello")).range(0..u64::MAX).push(b"hello", &mut file);
/// let unlocked = Unlocked::with(&file, &Key::passphrase("four random words"))?;
/// for bytes in [Bytes::new(b"hello".to_vec(), None)?, Bytes::new(file, Some(&unlocked))?] {
///     assert_eq!(bytes.len()?, 5);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub enum Bytes<S> {
    /// It stands there as it is.
    Plain(S),
    /// It is sealed.
    Sealed(Opened<S>),
}

impl<S: Source> Bytes<S> {
    /// The bytes of an archive, sealed if there is something that unlocks it.
    ///
    /// # Errors
    /// When a sealed one was cut or changed, or cannot be read.
    pub fn new(source: S, unlocked: Option<&Unlocked>) -> Result<Self, SealedError> {
        match unlocked {
            None => Ok(Self::Plain(source)),
            Some(unlocked) => Opened::new(source, unlocked).map(Self::Sealed),
        }
    }
}

impl<S: Source> Source for Bytes<S> {
    fn len(&self) -> io::Result<u64> {
        match self {
            Self::Plain(source) => source.len(),
            Self::Sealed(opened) => opened.len(),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read_at(offset, buffer),
            Self::Sealed(opened) => opened.read_at(offset, buffer),
        }
    }
}
