//! Reading entries one after the other: each once, unpacked, compared and handed on.

use std::io;

use crate::digest::{Summary, Tally};
use crate::finding::{Code, Findings};
use crate::inflate::Inflater;
use crate::layout::Entry;
use crate::packed::{MAX_DOCUMENT, Stored};
use crate::payload::{self, Payload};
use crate::source::Flow;

/// Reads an entry's own header, which must be the one that its facts make.
pub(crate) fn read_local(input: &mut impl Flow, entry: &Entry, findings: &mut Findings) -> io::Result<()> {
    let mut expected = Vec::with_capacity(128);
    entry.header().write_local(&mut expected);
    let mut found = Vec::with_capacity(expected.len());
    input.fill(&mut found, expected.len())?;
    if found != expected {
        findings.add(Code::Local.at(&entry.path, ""));
    }
    Ok(())
}

/// Unpacks entry after entry in the same memory.
#[derive(Debug)]
pub(crate) struct Unpacker {
    inflater: Inflater,
    stored: Vec<u8>,
}

impl Unpacker {
    pub(crate) fn new() -> Self {
        Self { inflater: Inflater::new(), stored: Vec::new() }
    }

    /// Reads an entry's content, and gives the bytes of it to `pass`. What could not be read at all is left where it is
    /// and yields nothing; otherwise the checksum.
    pub(crate) fn read(
        &mut self,
        input: &mut impl Flow,
        entry: &Entry,
        payload: &mut Payload,
        pass: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
        findings: &mut Findings,
    ) -> io::Result<Option<u32>> {
        let wanted = Payload::wants_content(entry);
        let sealed = payload::is_sealed(&entry.path);
        if wanted && !sealed && entry.size > MAX_DOCUMENT as u64 {
            findings.add(Code::DocumentTooLong.at(&entry.path, ""));
            return Ok(None);
        }
        match entry.stored {
            Stored::Whole if !wanted || sealed => {
                let mut tally = Tally::new();
                let mut start = Vec::new();
                while tally.size() < entry.size {
                    let at = input.position();
                    let chunk = input.chunk(entry.size - tally.size())?;
                    if sealed && start.len() < 32 {
                        start.extend_from_slice(&chunk[..chunk.len().min(32)]);
                    }
                    tally.update(chunk);
                    pass(at, chunk)?;
                }
                if sealed && !crate::secrets::is_sealed(&start) {
                    findings.add(Code::Secrets.at(&entry.path, "it is not sealed by age"));
                }
                Ok(Some(take(entry, &tally.finish(), payload, findings)))
            }
            Stored::Whole => {
                input.fill(&mut self.stored, entry.size as usize)?;
                let crc32 = take(entry, &Summary::of(&self.stored), payload, findings);
                payload.document(entry, &self.stored, findings);
                pass(input.position(), &self.stored)?;
                Ok(Some(crc32))
            }
            Stored::Deflated { bytes } => {
                if entry.size > MAX_DOCUMENT as u64 || bytes > MAX_DOCUMENT as u64 {
                    // Said before, from the list of entries.
                    return Ok(None);
                }
                input.fill(&mut self.stored, bytes as usize)?;
                match self.inflater.inflate(&self.stored, entry.size as usize) {
                    None => {
                        findings.add(Code::Deflate.at(&entry.path, ""));
                        Ok(None)
                    }
                    Some(content) => {
                        let crc32 = take(entry, &Summary::of(content), payload, findings);
                        if sealed && !crate::secrets::is_sealed(content) {
                            findings.add(Code::Secrets.at(&entry.path, "it is not sealed by age"));
                        }
                        payload.document(entry, content, findings);
                        pass(input.position(), content)?;
                        Ok(Some(crc32))
                    }
                }
            }
        }
    }
}

fn take(entry: &Entry, summary: &Summary, payload: &mut Payload, findings: &mut Findings) -> u32 {
    payload.file(entry, summary, findings);
    summary.crc32
}
