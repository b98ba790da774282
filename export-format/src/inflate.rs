//! Unpacking one deflated entry into memory set aside beforehand.
//!
//! The declared size is never trusted: the output has room for exactly one byte more, which tells a stream that is
//! longer; and the stream must use up its input, so that nothing hides behind it.

use flate2::{Decompress, FlushDecompress, Status};

/// Unpacks deflated content; keeps its memory between entries.
#[derive(Debug)]
pub(crate) struct Inflater {
    state: Decompress,
    out: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self { state: Decompress::new(false), out: Vec::new() }
    }

    /// The content of `stored`, if that is one whole deflate stream of exactly `size` bytes.
    pub(crate) fn inflate(&mut self, stored: &[u8], size: usize) -> Option<&[u8]> {
        self.state.reset(false);
        // Memory that was set aside once stays, so that it is cleared once.
        if self.out.len() <= size {
            self.out.resize(size + 1, 0);
        }
        let status = self.state.decompress(stored, &mut self.out[..=size], FlushDecompress::Finish).ok()?;
        let whole = status == Status::StreamEnd
            && self.state.total_in() == stored.len() as u64
            && self.state.total_out() == size as u64;
        whole.then(|| &self.out[..size])
    }
}
