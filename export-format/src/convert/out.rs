//! Where a conversion writes: files in an open folder, under names that every system takes, each made anew.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Read, Write};

use cap_std::fs::{Dir, File, OpenOptions};

use super::text::one_line;
use super::{ConvertError, Converted, Left, Target, Written};
use crate::layout::Entry;
use crate::manifest::Manifest;
use crate::path::{EntryPath, Namer};
use crate::reader::{Progress, Reader, Verified};
use crate::source::Source;

/// The folder, and what is to be told at the end.
pub(super) struct Out<'o> {
    dir: &'o Dir,
    namers: HashMap<&'static str, Namer>,
    written: BTreeMap<(String, String), u64>,
    left: BTreeMap<(String, String), u64>,
    done: u64,
    total: u64,
    progress: &'o mut dyn FnMut(Progress),
}

/// A file that is being written.
pub(super) struct Making {
    path: EntryPath,
    file: BufWriter<File>,
}

impl<'o> Out<'o> {
    pub(super) fn new(dir: &'o Dir, total: u64, progress: &'o mut dyn FnMut(Progress)) -> Self {
        Self { dir, namers: HashMap::new(), written: BTreeMap::new(), left: BTreeMap::new(), done: 0, total, progress }
    }

    /// Begins a file in the folder `top`, called so, or as much so as every system allows; if the name is taken, it gets
    /// another.
    pub(super) fn create(&mut self, top: &'static str, wanted: &str) -> Result<Making, ConvertError> {
        let failed = |source: io::Error| ConvertError::Write { path: format!("{top}/{wanted}"), source };
        let namer = match self.namers.entry(top) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(Namer::new(top).map_err(|why| failed(io::Error::other(why)))?)
            }
        };
        let path = namer.place(wanted);
        if let Some(folder) = path.folders().last() {
            self.dir.create_dir_all(folder).map_err(failed)?;
        }
        let made = self.dir.open_with(path.as_str(), OpenOptions::new().write(true).create_new(true));
        let file = made.map_err(failed)?;
        Ok(Making { path, file: BufWriter::with_capacity(64 * 1024, file) })
    }

    /// Copies an entry as it is.
    pub(super) fn copy<S: Source>(
        &mut self,
        archive: &Reader<S, Verified>,
        entry: &Entry,
        top: &'static str,
        wanted: &str,
    ) -> Result<(), ConvertError> {
        let mut file = self.create(top, wanted)?;
        let mut content = archive.content(entry).map_err(ConvertError::Read)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match content.read(&mut buffer).map_err(ConvertError::Read)? {
                0 => break,
                count => {
                    file.put(&buffer[..count])?;
                    self.pass(count as u64);
                }
            }
        }
        file.finish()
    }

    /// So many more bytes of the archive are dealt with.
    pub(super) fn pass(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(Progress { done: self.done.min(self.total), total: self.total });
    }

    /// Something was written.
    pub(super) fn wrote(&mut self, what: &str, at: &str) {
        *self.written.entry((what.to_owned(), at.to_owned())).or_default() += 1;
    }

    /// Something cannot be expressed.
    pub(super) fn leave(&mut self, what: &str, why: &str) {
        self.leave_all(1, what, why);
    }

    /// So many things cannot be expressed.
    pub(super) fn leave_all(&mut self, count: u64, what: &str, why: &str) {
        if count > 0 {
            *self.left.entry((one_line(what), one_line(why))).or_default() += count;
        }
    }

    /// Writes the page for people, and tells what came of it.
    pub(super) fn finish(self, target: Target, manifest: &Manifest) -> Result<Converted, ConvertError> {
        let written = self.written.into_iter().map(|((what, at), count)| Written { what, count, at });
        let left = self.left.into_iter().map(|((what, why), count)| Left { what, count, why });
        let converted = Converted { written: written.collect(), left: left.collect() };
        let text = readme(target, manifest, &converted);
        let failed = |source| ConvertError::Write { path: "README.txt".to_owned(), source };
        let made = self.dir.open_with("README.txt", OpenOptions::new().write(true).create_new(true));
        let mut file = made.map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(converted)
    }
}

impl Making {
    /// Adds bytes.
    pub(super) fn put(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), ConvertError> {
        self.file.write_all(bytes.as_ref()).map_err(|source| self.failed(source))
    }

    pub(super) fn finish(mut self) -> Result<(), ConvertError> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ConvertError {
        ConvertError::Write { path: self.path.to_string(), source }
    }
}

fn readme(target: Target, manifest: &Manifest, converted: &Converted) -> String {
    use std::fmt::Write as _;
    let domain = one_line(&manifest.subject.domain);
    let mut text = format!("From the archive of {domain}, as it was on {}.\n\n", one_line(&manifest.snapshot.at));
    text.push_str(match target {
        Target::Folders => super::folders::README,
        Target::Mastodon => super::mastodon::README,
        Target::Freezr => super::freezr::README,
    });
    text.push_str("\nWhat is here:\n");
    for Written { what, count, at } in &converted.written {
        let _ = writeln!(text, "- {count} {what}, in {at}");
    }
    if converted.written.is_empty() {
        text.push_str("- Nothing: the archive holds nothing that can be said in this form.\n");
    }
    text.push_str("\nWhat could not be expressed; keep the archive for it:\n");
    for Left { what, count, why } in &converted.left {
        let _ = writeln!(text, "- {count} {what}: {why}");
    }
    if converted.left.is_empty() {
        text.push_str("- Nothing was left out.\n");
    }
    text
}
