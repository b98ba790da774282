//! The least a durable write can cost on a disk, as a measure for what ours costs there.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::measure::Samples;

/// How many bytes each bare write has.
const BYTES: usize = 4096;

/// So many times one after the other: a new file is written, flushed, moved to its place, and the folder is flushed.
pub fn bare_writes(folder: &Path, times: usize) -> Result<Samples> {
    let (next, place) = (folder.join("bare.new"), folder.join("bare"));
    let mut samples = Samples::default();
    for nth in 0..times {
        let start = Instant::now();
        let mut file = File::create(&next)?;
        file.write_all(&[nth as u8; BYTES])?;
        file.sync_all()?;
        fs::rename(&next, &place)?;
        File::open(folder)?.sync_all()?;
        samples.add(start.elapsed());
    }
    fs::remove_file(place)?;
    Ok(samples)
}
