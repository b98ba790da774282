//! Where a reader reads from: anything that yields bytes at a position.
//!
//! Positions rather than a cursor, so that a verified archive can be read by several hands at once.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// Bytes at positions.
pub trait Source {
    /// How many there are.
    ///
    /// # Errors
    /// When the length cannot be had.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are none.
    ///
    /// # Errors
    /// When the length cannot be had.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Reads some bytes at `offset`; 0 only at the end.
    ///
    /// # Errors
    /// When reading fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// When reading fails or the source ends early.
    fn read_exact_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(offset, buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    offset += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }
}

impl Source for File {
    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

impl Source for [u8] {
    fn len(&self) -> io::Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Source::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl<T: Source + ?Sized> Source for &T {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

impl<T: Source + ?Sized> Source for Box<T> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

impl<T: Source + ?Sized> Source for Arc<T> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

/// Reads a source from some position on, in large steps.
#[derive(Debug)]
pub(crate) struct Sequential<'s, S: ?Sized> {
    source: &'s S,
    buffer: Vec<u8>,
    /// What of `buffer` is filled and not yet given out.
    from: usize,
    to: usize,
    /// The position of the byte after `to`.
    next: u64,
    limit: u64,
}

impl<'s, S: Source + ?Sized> Sequential<'s, S> {
    /// Reads `source` from `start` up to `limit`.
    pub(crate) fn new(source: &'s S, start: u64, limit: u64) -> Self {
        let room = (limit.saturating_sub(start)).min(256 * 1024) as usize;
        Self { source, buffer: vec![0; room], from: 0, to: 0, next: start, limit }
    }

    /// Goes to `position`.
    pub(crate) fn seek(&mut self, position: u64) {
        let here = self.position();
        if position >= here && position <= self.next {
            self.from += (position - here) as usize;
        } else {
            (self.from, self.to, self.next) = (0, 0, position);
        }
    }
}

/// Bytes one after the other: of a source, or of something that only flows past.
pub(crate) trait Flow {
    /// Where the next byte stands.
    fn position(&self) -> u64;

    /// The next bytes, at least one and at most `most`; an end is an error.
    fn chunk(&mut self, most: u64) -> io::Result<&[u8]>;

    /// Replaces the content of `out` by the next `count` bytes.
    fn fill(&mut self, out: &mut Vec<u8>, count: usize) -> io::Result<()> {
        out.clear();
        while out.len() < count {
            let chunk = self.chunk((count - out.len()) as u64)?;
            out.extend_from_slice(chunk);
        }
        Ok(())
    }

    /// Lets `count` bytes pass.
    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            count -= self.chunk(count)?.len() as u64;
        }
        Ok(())
    }
}

impl<S: Source + ?Sized> Flow for Sequential<'_, S> {
    fn position(&self) -> u64 {
        self.next - (self.to - self.from) as u64
    }

    fn chunk(&mut self, most: u64) -> io::Result<&[u8]> {
        if self.from == self.to {
            let room = (self.limit.saturating_sub(self.next)).min(self.buffer.len() as u64) as usize;
            let count = loop {
                match self.source.read_at(self.next, &mut self.buffer[..room]) {
                    Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (self.from, self.to) = (0, count);
            self.next += count as u64;
        }
        let count = ((self.to - self.from) as u64).min(most) as usize;
        let chunk = &self.buffer[self.from..self.from + count];
        self.from += count;
        Ok(chunk)
    }
}

/// What only flows past, in large steps.
#[derive(Debug)]
pub(crate) struct Passing<R> {
    input: R,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// The position of the byte after `to`.
    next: u64,
}

impl<R: Read> Passing<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; 256 * 1024], from: 0, to: 0, next: 0 }
    }

    /// Up to `count` bytes that come next, without taking them; fewer only at the end.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.to - self.from < count {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            while self.to < count && self.read()? > 0 {}
        }
        Ok(&self.buffer[self.from..self.to.min(self.from + count)])
    }

    /// Takes everything to the end, of which the last `most` bytes are kept.
    pub(crate) fn rest(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut tail = Vec::new();
        loop {
            tail.extend_from_slice(&self.buffer[self.from..self.to]);
            (self.from, self.to) = (0, 0);
            if tail.len() > 2 * most {
                tail.drain(..tail.len() - most);
            }
            if self.read()? == 0 {
                tail.drain(..tail.len().saturating_sub(most));
                return Ok(tail);
            }
        }
    }

    /// Reads more behind what is there.
    fn read(&mut self) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.buffer[self.to..]) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
                Ok(count) => {
                    self.to += count;
                    self.next += count as u64;
                    return Ok(count);
                }
            }
        }
    }
}

impl<R: Read> Flow for Passing<R> {
    fn position(&self) -> u64 {
        self.next - (self.to - self.from) as u64
    }

    fn chunk(&mut self, most: u64) -> io::Result<&[u8]> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            if self.read()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let count = ((self.to - self.from) as u64).min(most) as usize;
        self.from += count;
        Ok(&self.buffer[self.from - count..self.from])
    }
}
