//! Opening: with a passphrase or a key, from front to back or anywhere.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use age::secrecy::{ExposeSecret as _, SecretString};
use age_core::format::{FileKey as AgeKey, Stanza};

use super::stream::{self, CHUNK, FileKey, NONCE, Stream, TAG};
use super::{MAX_HEADER, START, SealedError, WORK};
use crate::source::Source;

/// What a sealed archive may be opened with.
#[derive(Clone)]
pub enum Key {
    /// A passphrase.
    Passphrase {
        /// The passphrase.
        text: String,
        /// The most work, as a power of two, that trying it may cost: 2^n KiB of memory. Whoever made the file chose
        /// the work, so a file of a stranger's needs a bound.
        max_work: u8,
    },
    /// An age identity, `AGE-SECRET-KEY-1…`.
    Identity(String),
}

impl Key {
    /// A passphrase, at up to 16 times the work that [`Envelope`](super::Envelope) seals with (1 GiB of memory).
    pub fn passphrase(text: impl Into<String>) -> Self {
        Self::Passphrase { text: text.into(), max_work: WORK + 4 }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase { .. } => "Passphrase",
            Self::Identity(_) => "Identity",
        })
    }
}

/// What kind of key a sealed archive asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// A passphrase.
    Passphrase,
    /// One of the keys it was sealed to.
    Keys,
}

/// Tells what a file that starts like this asks for.
///
/// # Errors
/// When it is no age file.
pub fn lock(start: &[u8]) -> Result<Lock, SealedError> {
    let decryptor = age::Decryptor::new_buffered(bounded(start)?).map_err(refused)?;
    Ok(if decryptor.is_scrypt() { Lock::Passphrase } else { Lock::Keys })
}

/// The secret in the header of one sealed archive, and where its content begins. As secret as the archive.
#[derive(Clone)]
pub struct Unlocked {
    file_key: FileKey,
    nonce: [u8; NONCE],
    /// Length of header and nonce.
    opening: u64,
}

impl Unlocked {
    /// Unlocks the file whose first bytes ([`START`], or all of it) are `start`.
    ///
    /// # Errors
    /// When it is no sealed file, or the key is another.
    pub fn with(start: &[u8], key: &Key) -> Result<Self, SealedError> {
        let kind = lock(start)?;
        match key {
            Key::Passphrase { .. } if kind == Lock::Keys => Err(SealedError::NotByPassphrase),
            Key::Passphrase { text, max_work } => {
                let mut identity = age::scrypt::Identity::new(SecretString::from(text.clone()));
                identity.set_max_work_factor(*max_work);
                Self::overhear(start, &identity)
            }
            Key::Identity(_) if kind == Lock::Passphrase => Err(SealedError::NotByKey),
            Key::Identity(text) => {
                let identity: age::x25519::Identity = text.trim().parse().map_err(SealedError::Key)?;
                Self::overhear(start, &identity)
            }
        }
    }

    fn overhear(start: &[u8], identity: &dyn age::Identity) -> Result<Self, SealedError> {
        let overheard = Overheard { inner: identity, seen: Cell::new(None) };
        let start = bounded(start)?;
        let mut rest = start;
        let decryptor = age::Decryptor::new_buffered(&mut rest).map_err(refused)?;
        // It compares the header with the code in its last line, too.
        drop(decryptor.decrypt(std::iter::once(&overheard as &dyn age::Identity)).map_err(refused)?);
        let opening = start.len() - rest.len();
        let nonce = start[..opening].last_chunk().ok_or(SealedError::Header)?;
        Ok(Self { file_key: overheard.seen.get().ok_or(SealedError::Wrong)?, nonce: *nonce, opening: opening as u64 })
    }

    /// The secret as bytes, to be kept as carefully as the archive itself.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.file_key[..], &self.nonce, &self.opening.to_le_bytes()].concat()
    }

    /// What [`Unlocked::to_bytes`] made.
    ///
    /// # Errors
    /// When these are no such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        let parts = || {
            let (file_key, rest) = bytes.split_first_chunk()?;
            let (nonce, opening) = rest.split_first_chunk()?;
            let opening = u64::from_le_bytes(opening.try_into().ok()?);
            Some(Self { file_key: *file_key, nonce: *nonce, opening })
        };
        parts().ok_or(SealedError::Header)
    }

    fn stream(&self) -> Stream {
        Stream::new(&self.file_key, &self.nonce)
    }
}

impl fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unlocked").finish_non_exhaustive()
    }
}

/// An identity, and the file key that it finds for age.
struct Overheard<'a> {
    inner: &'a dyn age::Identity,
    seen: Cell<Option<FileKey>>,
}

impl age::Identity for Overheard<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<AgeKey, age::DecryptError>> {
        let found = self.inner.unwrap_stanza(stanza);
        if let Some(Ok(key)) = &found {
            self.seen.set(Some(*key.expose_secret()));
        }
        found
    }
}

/// A sealed archive, opened anywhere: a [`Source`] of its plain bytes.
///
/// ```
/// use export_format::sealed::{Envelope, Key, Opened, Unlocked};
/// use export_format::source::Source;
/// use export_format::Digest;
/// let sealed = Envelope::for_passphrase("four random words")?.around(5, &Digest::of(b"hello"));
/// let mut file = Vec::new();
/// sealed.range(0..sealed.len()).push(b"hello", &mut file);
/// let opened = Opened::new(file.clone(), &Unlocked::with(&file, &Key::passphrase("four random words"))?)?;
/// let mut plain = [0; 3];
/// opened.read_exact_at(1, &mut plain)?;
/// assert_eq!(&plain, b"ell");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Opened<S> {
    source: S,
    stream: Stream,
    opening: u64,
    plain: u64,
    /// The chunk that was last needed in part.
    kept: Mutex<Option<(u64, Vec<u8>)>>,
}

impl<S: Source> Opened<S> {
    /// Opens `source`, and its last chunk, which authenticates the length.
    ///
    /// # Errors
    /// When the file was cut or changed, or cannot be read.
    pub fn new(source: S, unlocked: &Unlocked) -> Result<Self, SealedError> {
        let sealed = source.len().map_err(SealedError::Read)?.checked_sub(unlocked.opening);
        let plain = sealed.and_then(stream::plain_len).ok_or(SealedError::Damaged)?;
        let stream = unlocked.stream();
        let opened = Self { source, stream, opening: unlocked.opening, plain, kept: Mutex::new(None) };
        let last = stream::last_chunk(plain);
        let mut chunk = vec![0; opened.chunk_len(last)];
        opened.read_chunk(last, &mut chunk)?;
        *opened.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((last, chunk));
        Ok(opened)
    }

    fn chunk_len(&self, number: u64) -> usize {
        CHUNK.min(self.plain - number * CHUNK) as usize
    }

    /// Fills `chunk` with the plain bytes of one whole chunk.
    fn read_chunk(&self, number: u64, chunk: &mut [u8]) -> Result<(), SealedError> {
        let at = self.opening + number * (CHUNK + TAG);
        let mut tag = [0; TAG as usize];
        self.source.read_exact_at(at, chunk).map_err(SealedError::Read)?;
        self.source.read_exact_at(at + chunk.len() as u64, &mut tag).map_err(SealedError::Read)?;
        self.stream.open(number, number == stream::last_chunk(self.plain), chunk, &tag)
    }
}

impl<S: Source> Source for Opened<S> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.plain)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.plain || buffer.is_empty() {
            return Ok(0);
        }
        let number = offset / CHUNK;
        let len = self.chunk_len(number);
        let from = (offset % CHUNK) as usize;
        if from == 0 && buffer.len() >= len {
            return match self.read_chunk(number, &mut buffer[..len]) {
                Ok(()) => Ok(len),
                Err(why) => {
                    buffer.fill(0);
                    Err(as_io(why))
                }
            };
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let chunk = match kept.take() {
            Some((there, chunk)) if there == number => chunk,
            _ => {
                let mut chunk = vec![0; len];
                self.read_chunk(number, &mut chunk).map_err(as_io)?;
                chunk
            }
        };
        let count = buffer.len().min(len - from);
        buffer[..count].copy_from_slice(&chunk[from..from + count]);
        *kept = Some((number, chunk));
        Ok(count)
    }
}

impl<S: fmt::Debug> fmt::Debug for Opened<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("source", &self.source).field("plain", &self.plain).finish_non_exhaustive()
    }
}

/// A sealed archive, opened from front to back: a [`Read`] of its plain bytes that never seeks.
///
/// Its end is only reached when the last chunk was there: what is cut fails with [`io::ErrorKind::InvalidData`].
pub struct Forward<R> {
    input: R,
    stream: Stream,
    number: u64,
    /// The next chunk as it came; whether it is the last is known when what follows it is.
    ahead: Vec<u8>,
    chunk: Vec<u8>,
    at: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    /// The last chunk was opened.
    Ended,
    /// A chunk was not as sealed; nothing behind it is given out.
    Failed,
}

impl<R: Read> Forward<R> {
    /// Reads the header of `input` and unlocks it.
    ///
    /// # Errors
    /// When it is no sealed file, the key is another, or it cannot be read.
    pub fn open(mut input: R, key: &Key) -> Result<Self, SealedError> {
        let mut start = Vec::with_capacity(START);
        input.by_ref().take(START as u64).read_to_end(&mut start).map_err(SealedError::Read)?;
        let unlocked = Unlocked::with(&start, key)?;
        start.drain(..unlocked.opening as usize);
        let stream = unlocked.stream();
        Ok(Self { input, stream, number: 0, ahead: start, chunk: Vec::new(), at: 0, state: State::Going })
    }

    /// Opens the next chunk.
    fn next(&mut self) -> io::Result<()> {
        const FULL: usize = (CHUNK + TAG) as usize;
        // A chunk and whether anything follows it.
        let missing = (FULL + 1).saturating_sub(self.ahead.len()) as u64;
        self.input.by_ref().take(missing).read_to_end(&mut self.ahead)?;
        let last = self.ahead.len() <= FULL;
        let sealed = self.ahead.len().min(FULL);
        let Some(plain) = sealed.checked_sub(TAG as usize) else { return Err(as_io(SealedError::Damaged)) };
        if plain == 0 && self.number > 0 {
            return Err(as_io(SealedError::Damaged));
        }
        self.chunk.clear();
        self.chunk.extend_from_slice(&self.ahead[..plain]);
        let opened = self.stream.open(self.number, last, &mut self.chunk, &self.ahead[plain..sealed]);
        self.ahead.drain(..sealed);
        self.number += 1;
        if last {
            self.state = State::Ended;
        }
        opened.map_err(as_io)
    }
}

impl<R: Read> Read for Forward<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            match self.state {
                State::Ended => return Ok(0),
                State::Failed => return Err(as_io(SealedError::Damaged)),
                State::Going => {}
            }
            self.at = 0;
            if let Err(why) = self.next() {
                self.chunk.clear();
                self.state = State::Failed;
                return Err(why);
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.at);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl<R> fmt::Debug for Forward<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The most lines of a header that is read; a recipient takes two or three. age reads a header anew with each line, so
/// many short ones would cost much.
const MAX_LINES: usize = 400;

/// `start`, if a header of bearable length stands there.
fn bounded(start: &[u8]) -> Result<&[u8], SealedError> {
    let start = &start[..start.len().min(MAX_HEADER + NONCE)];
    let end = start.windows(5).position(|window| window == b"\n--- ").ok_or(SealedError::Header)?;
    let lines = start[..end].iter().filter(|byte| **byte == b'\n').count();
    if crate::secrets::is_sealed(start) && lines <= MAX_LINES { Ok(start) } else { Err(SealedError::Header) }
}

fn as_io(why: SealedError) -> io::Error {
    match why {
        SealedError::Read(why) => why,
        why => io::Error::new(io::ErrorKind::InvalidData, why),
    }
}

/// What age says, in our words.
fn refused(why: age::DecryptError) -> SealedError {
    use age::DecryptError as Age;
    match why {
        Age::DecryptionFailed | Age::KeyDecryptionFailed | Age::NoMatchingKeys => SealedError::Wrong,
        Age::ExcessiveWork { required, .. } => SealedError::Work { needed: required },
        _ => SealedError::Header,
    }
}
