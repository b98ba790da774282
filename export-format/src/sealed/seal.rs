//! Sealing: an envelope, and what is in it, from any place.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use age::secrecy::{ExposeSecret as _, SecretString};
use age_core::format::{FileKey as AgeKey, Stanza};
use age_core::primitives::hkdf;

use super::stream::{self, CHUNK, FileKey, NONCE, Stream, TAG};
use super::{SealedError, WORK};
use crate::digest::Digest;

/// Who may open a sealed archive, and the secret that lets them: a finished age header and the file key in it.
///
/// Made once for an export and kept with it ([`Envelope::to_bytes`]), so that each request gets the same bytes. It is as
/// secret as the archive.
#[derive(Clone)]
pub struct Envelope {
    header: Vec<u8>,
    file_key: FileKey,
}

impl Envelope {
    /// One that opens with a passphrase.
    ///
    /// # Errors
    /// When sealing fails.
    ///
    /// ```
    /// use export_format::sealed::{Envelope, Forward, Key};
    /// use export_format::Digest;
    /// use std::io::Read;
    ///
    /// let archive = vec![7; 200_000];
    /// let envelope = Envelope::for_passphrase("correct horse battery staple")?;
    /// let sealed = envelope.around(archive.len() as u64, &Digest::of(&archive));
    /// // All of it, in two halves made apart.
    /// let half = sealed.len() / 2;
    /// let mut file = Vec::new();
    /// for range in [0..half, half..sealed.len()] {
    ///     let mut sealer = sealed.range(range);
    ///     let plain = sealer.plain();
    ///     sealer.push(&archive[plain.start as usize..plain.end as usize], &mut file);
    /// }
    /// assert_eq!(file.len() as u64, sealed.len());
    /// let mut back = Vec::new();
    /// let key = Key::passphrase("correct horse battery staple");
    /// Forward::open(&file[..], &key)?.read_to_end(&mut back)?;
    /// assert_eq!(back, archive);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_passphrase(passphrase: &str) -> Result<Self, SealedError> {
        let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
        recipient.set_work_factor(WORK);
        Self::for_each(&[&recipient])
    }

    /// One that opens with the key of any of these recipients, `age1…`.
    ///
    /// # Errors
    /// When one of them is no age public key, there is none, or sealing fails.
    pub fn for_recipients(recipients: &[&str]) -> Result<Self, SealedError> {
        let parse = |text: &&str| text.parse::<age::x25519::Recipient>().map_err(SealedError::Key);
        let recipients = recipients.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<&dyn age::Recipient> = recipients.iter().map(|recipient| recipient as _).collect();
        Self::for_each(&all)
    }

    fn for_each(recipients: &[&dyn age::Recipient]) -> Result<Self, SealedError> {
        let seen = Cell::new(None);
        let overheard: Vec<Overheard<'_>> = recipients.iter().map(|&inner| Overheard { inner, seen: &seen }).collect();
        let all = overheard.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(all).map_err(SealedError::Seal)?;
        let mut header = Vec::new();
        // The nonce that age writes behind the header is not used: ours follows from the content.
        drop(encryptor.wrap_output(&mut header).map_err(|why| SealedError::Seal(age::EncryptError::Io(why)))?);
        header.truncate(header.len().saturating_sub(NONCE));
        let file_key = seen.get().ok_or(SealedError::Seal(age::EncryptError::MissingRecipients))?;
        Ok(Self { header, file_key })
    }

    /// The envelope as bytes, to be kept as carefully as the archive itself.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.file_key[..], &self.header].concat()
    }

    /// What [`Envelope::to_bytes`] made.
    ///
    /// # Errors
    /// When these are no such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        let (file_key, header) = bytes.split_first_chunk().ok_or(SealedError::Header)?;
        if !crate::secrets::is_sealed(header) {
            return Err(SealedError::Header);
        }
        Ok(Self { header: header.to_vec(), file_key: *file_key })
    }

    /// Puts content of `plain` bytes into the envelope. `fingerprint` must differ for different content, as
    /// [`Plan::fingerprint`](crate::plan::Plan::fingerprint) does.
    #[must_use]
    pub fn around(&self, plain: u64, fingerprint: &Digest) -> Sealed {
        let derived = hkdf(fingerprint.as_bytes(), b"pcc-archive nonce", &self.file_key);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&derived[..NONCE]);
        Sealed { opening: [&self.header[..], &nonce].concat(), stream: Stream::new(&self.file_key, &nonce), plain }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

/// A recipient, and the file key that age hands to it.
struct Overheard<'a> {
    inner: &'a dyn age::Recipient,
    seen: &'a Cell<Option<FileKey>>,
}

impl age::Recipient for Overheard<'_> {
    fn wrap_file_key(&self, file_key: &AgeKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        self.seen.set(Some(*file_key.expose_secret()));
        self.inner.wrap_file_key(file_key)
    }
}

/// Content in its envelope: how long it is, and how any range of it is made.
#[derive(Clone)]
pub struct Sealed {
    /// Header and nonce.
    opening: Vec<u8>,
    stream: Stream,
    plain: u64,
}

impl Sealed {
    /// The exact length of the sealed file.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sealed file is never empty")]
    pub fn len(&self) -> u64 {
        self.opening.len() as u64 + stream::sealed_len(self.plain)
    }

    /// A strong name for exactly these bytes, fit for an ETag.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&[&self.opening[..], &self.len().to_le_bytes()].concat())
    }

    /// Makes the bytes in `range`; what lies beyond the end is left out.
    #[must_use]
    pub fn range(&self, range: Range<u64>) -> Sealer {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let opening = self.opening.len() as u64;
        let part = |at: u64| at.min(opening) as usize;
        let mut sealer = Sealer {
            opening: self.opening[part(start)..part(end)].to_vec(),
            stream: self.stream.clone(),
            plain: 0..0,
            number: 0,
            last: stream::last_chunk(self.plain),
            chunk: Vec::new(),
            wanted: 0,
            skip: 0,
            left: 0,
        };
        if end > opening {
            let (from, to) = (start.max(opening) - opening, end - opening);
            let (first, behind) = (from / (CHUNK + TAG), to.div_ceil(CHUNK + TAG));
            sealer.number = first;
            sealer.plain = first * CHUNK..(behind * CHUNK).min(self.plain);
            sealer.skip = from - first * (CHUNK + TAG);
            sealer.left = to - from;
            sealer.wanted = self.plain;
        }
        sealer
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("plain", &self.plain).finish_non_exhaustive()
    }
}

/// Makes a range of a sealed file, made by [`Sealed::range`]: is given [`Sealer::plain`] in any pieces, in order.
pub struct Sealer {
    opening: Vec<u8>,
    stream: Stream,
    plain: Range<u64>,
    /// The chunk that is being filled.
    number: u64,
    last: u64,
    chunk: Vec<u8>,
    /// Length of the whole content.
    wanted: u64,
    /// Sealed bytes before the range.
    skip: u64,
    /// Sealed bytes to be given out yet.
    left: u64,
}

impl Sealer {
    /// Which plain bytes it must be given: whole chunks, so a little more than the range itself at either end.
    #[must_use]
    pub fn plain(&self) -> Range<u64> {
        self.plain.clone()
    }

    /// Takes the next plain bytes, and appends what is sealed by now to `out`. Give it no bytes once when
    /// [`Sealer::plain`] is empty.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        out.append(&mut self.opening);
        while self.left > 0 {
            let full = CHUNK.min(self.wanted - self.number * CHUNK) as usize;
            let taken = (full - self.chunk.len()).min(plain.len());
            self.chunk.extend_from_slice(&plain[..taken]);
            plain = &plain[taken..];
            if self.chunk.len() < full {
                return;
            }
            self.give_out(out);
        }
    }

    fn give_out(&mut self, out: &mut Vec<u8>) {
        let tag = self.stream.seal(self.number, self.number == self.last, &mut self.chunk);
        self.chunk.extend_from_slice(&tag);
        let from = self.skip.min(self.chunk.len() as u64) as usize;
        let until = (from as u64 + self.left).min(self.chunk.len() as u64) as usize;
        out.extend_from_slice(&self.chunk[from..until]);
        self.left -= (until - from) as u64;
        self.skip = 0;
        self.number += 1;
        self.chunk.clear();
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("plain", &self.plain).field("left", &self.left).finish_non_exhaustive()
    }
}
