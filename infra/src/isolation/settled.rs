//! The program of all runtimes, settled: moved to its place in memory once for a host instead of by every process.
//!
//! A program that can lie anywhere is finished by the loader at each start: into a runtime some 37,000 words are written,
//! which takes a quarter of the processor time of a start and leaves 0.6 MiB in every process that no other can share. Here
//! the words are written once, for a place that is drawn when the launcher starts. The kernel maps the outcome straight
//! there, and all runtimes share every page of it.
//!
//! The price: the code of all runtimes of one launcher lies at one address, as if one had been forked from the other. It is
//! another one on each host and after each start; the stack, the heap and the libraries still lie elsewhere in each process.
//!
//! Words by which the formats are called here are those of the ELF specification and of its supplement for x86-64. What is
//! not known to be safe to move is not moved: then the program is shown as it is, and its loader finishes it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where a program may be put: far above what a file would ask for, far below what the kernel hands out by itself.
const PLACES: std::ops::Range<u64> = 0x0010_0000_0000..0x5000_0000_0000;

/// The size of a page.
const PAGE: u64 = 4096;

/// No program is larger than this in memory.
const LIMIT: u64 = 512 << 20;

const HEADER: usize = 64;
const ENTRY: usize = 56;
const DYNAMIC_ENTRY: u64 = 16;
const RELOCATION: u64 = 24;
const SYMBOL: u64 = 24;

/// Why a program is shown as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettled {
    /// It cannot be read, or its copy not be written.
    #[error("it cannot be copied: {0}")]
    Copy(#[from] io::Error),
    /// It has something that is not known to be safe to move.
    #[error("{0}")]
    Unknown(&'static str),
}

use Unsettled::Unknown;

/// A place that nobody can know beforehand.
pub(super) fn anywhere() -> u64 {
    rand::random_range(PLACES.start / PAGE..PLACES.end / PAGE) * PAGE
}

/// The whole program as it has to stand in memory at `place`, which is also a file that the kernel maps there.
pub(super) fn settle(program: &File, place: u64) -> Result<Vec<u8>, Unsettled> {
    let mut image = Image::load(program, place)?;
    let tags = image.tags()?;
    image.relocate(&tags)?;
    image.move_symbols(&tags)?;
    image.move_tags(&tags)?;
    image.move_headers()?;
    Ok(image.bytes)
}

/// A program as it stands in memory, counted from its first byte.
struct Image {
    bytes: Vec<u8>,
    place: u64,
    entries: usize,
    /// Where the dynamic section lies, and how long it is.
    dynamic: (u64, u64),
}

impl Image {
    fn load(program: &File, place: u64) -> Result<Self, Unsettled> {
        let mut head = vec![0; 4096];
        let length = program.read_at(&mut head, 0)?;
        head.truncate(length);
        let head = Self { bytes: head, place, entries: 0, dynamic: (0, 0) };
        let is_ours = head.bytes.starts_with(b"\x7fELF\x02\x01") && head.number(18, 2)? == kind::X86_64;
        if !is_ours {
            return Err(Unknown("it is for another machine"));
        }
        if head.number(16, 2)? != kind::ANYWHERE {
            return Err(Unknown("it has its place already"));
        }
        let table = head.number(32, 8)?;
        let entries = head.number(56, 2)? as usize;
        if table != HEADER as u64 || head.number(54, 2)? != ENTRY as u64 {
            return Err(Unknown("its headers are not where they usually are"));
        }
        let mut image = Self { bytes: Vec::new(), place, entries, dynamic: (0, 0) };
        for entry in 0..entries {
            let header = HEADER + entry * ENTRY;
            let word = |at: usize| head.number((header + at) as u64, 8);
            let (offset, address, in_file) = (word(8)?, word(16)?, word(32)?);
            match head.number(header as u64, 4)? {
                segment::LOAD => {
                    let end = address.checked_add(in_file).filter(|end| *end <= LIMIT);
                    let end = end.ok_or(Unknown("it is too large"))? as usize;
                    if image.bytes.is_empty() && (offset, address) != (0, 0) {
                        return Err(Unknown("it does not begin with its headers"));
                    }
                    if image.bytes.len() < end {
                        image.bytes.resize(end, 0);
                    }
                    program.read_exact_at(&mut image.bytes[address as usize..end], offset)?;
                }
                segment::DYNAMIC => image.dynamic = (address, in_file),
                _ => {}
            }
        }
        if image.dynamic.1 == 0 {
            return Err(Unknown("it has nothing to be relocated by"));
        }
        Ok(image)
    }

    fn number(&self, at: u64, length: usize) -> Result<u64, Unsettled> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(at..at.saturating_add(length)).ok_or(Unknown("it points out of itself"))?;
        let mut word = [0; 8];
        word[..length].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(word))
    }

    fn set(&mut self, at: u64, word: u64) -> Result<(), Unsettled> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = self.bytes.get_mut(at..at.saturating_add(8)).ok_or(Unknown("it points out of itself"))?;
        bytes.copy_from_slice(&word.to_le_bytes());
        Ok(())
    }

    /// Turns an address counted from the program's first byte into one in memory.
    fn shift(&mut self, at: u64) -> Result<(), Unsettled> {
        let address = self.number(at, 8)?;
        self.set(at, address.wrapping_add(self.place))
    }

    /// The entries of the dynamic section: where each stands, its tag and its value.
    fn tags(&self) -> Result<Tags, Unsettled> {
        let (start, length) = self.dynamic;
        let mut tags = Vec::new();
        for entry in 0..length / DYNAMIC_ENTRY {
            let at = start.saturating_add(entry * DYNAMIC_ENTRY);
            match self.number(at, 8)? {
                tag::END => break,
                tag => tags.push((at, tag, self.number(at.saturating_add(8), 8)?)),
            }
        }
        let known = |tag: u64| tag::ADDRESSES.contains(&tag) || tag::OTHERS.contains(&tag);
        if !tags.iter().all(|(_, tag, _)| known(*tag)) {
            return Err(Unknown("its dynamic section has an entry that is not known"));
        }
        Ok(Tags(tags))
    }

    /// Writes what every process would, and leaves to the loader only what depends on libraries.
    fn relocate(&mut self, tags: &Tags) -> Result<(), Unsettled> {
        let relative = tags.value(tag::RELATIVE_COUNT);
        let done = relative.checked_mul(RELOCATION).filter(|done| *done <= tags.value(tag::RELOCATIONS_LENGTH));
        let done = done.ok_or(Unknown("it counts more relocations than it has"))?;
        for (start, length) in [
            (tags.value(tag::RELOCATIONS), tags.value(tag::RELOCATIONS_LENGTH)),
            (tags.value(tag::CALLS), tags.value(tag::CALLS_LENGTH)),
        ] {
            for nth in 0..length / RELOCATION {
                let at = start.saturating_add(nth * RELOCATION);
                let (target, addend) = (self.number(at, 8)?, self.number(at.saturating_add(16), 8)?);
                let kind = self.number(at.saturating_add(8), 4)?;
                if start == tags.value(tag::RELOCATIONS) && (nth < relative) != (kind == relocation::RELATIVE) {
                    return Err(Unknown("its relocations are in another order"));
                }
                match kind {
                    relocation::RELATIVE => self.set(target, self.place.wrapping_add(addend))?,
                    // Until it is first called it leads back into the program.
                    relocation::CALL => self.shift(target)?,
                    relocation::INDIRECT => self.shift(at.saturating_add(16))?,
                    kind if relocation::BY_LIBRARIES.contains(&kind) => {}
                    _ => return Err(Unknown("it has a relocation that is not known")),
                }
                self.shift(at)?;
            }
        }
        // They come first, so the rest begins behind them.
        let rest = tags.value(tag::RELOCATIONS) + done;
        self.set(tags.at(tag::RELOCATIONS)?, rest)?;
        self.set(tags.at(tag::RELOCATIONS_LENGTH)?, tags.value(tag::RELOCATIONS_LENGTH) - done)?;
        if relative > 0 {
            self.set(tags.at(tag::RELATIVE_COUNT)?, 0)?;
        }
        Ok(())
    }

    fn move_symbols(&mut self, tags: &Tags) -> Result<(), Unsettled> {
        let symbols = tags.value(tag::SYMBOLS);
        for nth in 0..self.count_symbols(tags)? {
            let at = symbols.saturating_add(nth * SYMBOL);
            let (of_thread, section) = (
                self.number(at.saturating_add(4), 1)? & 15 == symbol::OF_THREAD,
                self.number(at.saturating_add(6), 2)?,
            );
            if symbol::SECTIONS.contains(&section) && !of_thread {
                self.shift(at.saturating_add(8))?;
            }
        }
        Ok(())
    }

    /// How many symbols there are. Nothing says so, but the tables by which they are found have an entry for each that the
    /// program itself defines.
    fn count_symbols(&self, tags: &Tags) -> Result<u64, Unsettled> {
        let (plain, hashed) = (tags.value(tag::HASHES), tags.value(tag::GNU_HASHES));
        if plain != 0 {
            return self.number(plain.saturating_add(4), 4);
        }
        if hashed == 0 {
            return Err(Unknown("it does not count its symbols"));
        }
        let half = |nth: u64| self.number(hashed.saturating_add(nth.saturating_mul(4)), 4);
        let (buckets, first, filter) = (half(0)?, half(1)?, half(2)?);
        let begin = 4 + filter * 2;
        let mut last = 0;
        for bucket in 0..buckets {
            last = last.max(half(begin + bucket)?);
        }
        if last < first {
            return Ok(first);
        }
        // The last one of a bucket is odd.
        while half(begin + buckets + (last - first))? & 1 == 0 {
            last += 1;
        }
        Ok(last + 1)
    }

    fn move_tags(&mut self, tags: &Tags) -> Result<(), Unsettled> {
        for (at, tag, value) in &tags.0 {
            if tag::ADDRESSES.contains(tag) && *value != 0 {
                self.shift(at.saturating_add(8))?;
            }
        }
        Ok(())
    }

    /// The file is the image itself, so each offset is the address; sections are for debuggers and stay behind.
    fn move_headers(&mut self) -> Result<(), Unsettled> {
        for entry in 0..self.entries {
            let header = (HEADER + entry * ENTRY) as u64;
            if self.number(header, 4)? == segment::STACK {
                continue;
            }
            let address = self.number(header + 16, 8)?;
            self.set(header + 8, address)?;
            self.shift(header + 16)?;
            self.shift(header + 24)?;
        }
        self.shift(24)?;
        self.set(40, 0)?;
        self.bytes[16..18].copy_from_slice(&(kind::IN_PLACE as u16).to_le_bytes());
        self.bytes[58..64].fill(0);
        Ok(())
    }
}

/// The entries of the dynamic section.
struct Tags(Vec<(u64, u64, u64)>);

impl Tags {
    fn find(&self, wanted: u64) -> Option<&(u64, u64, u64)> {
        self.0.iter().find(|(_, tag, _)| *tag == wanted)
    }

    fn value(&self, wanted: u64) -> u64 {
        self.find(wanted).map_or(0, |(.., value)| *value)
    }

    /// Where the value of a tag stands.
    fn at(&self, wanted: u64) -> Result<u64, Unsettled> {
        Ok(self.find(wanted).ok_or(Unknown("it has no relocations"))?.0.saturating_add(8))
    }
}

/// Kinds of programs (`e_type`) and machines (`e_machine`).
mod kind {
    pub(super) const IN_PLACE: u64 = 2;
    pub(super) const ANYWHERE: u64 = 3;
    pub(super) const X86_64: u64 = 62;
}

/// Kinds of segments (`p_type`).
mod segment {
    pub(super) const LOAD: u64 = 1;
    pub(super) const DYNAMIC: u64 = 2;
    pub(super) const STACK: u64 = 0x6474_e551;
}

/// Entries of the dynamic section (`d_tag`).
mod tag {
    pub(super) const END: u64 = 0;
    pub(super) const CALLS_LENGTH: u64 = 2;
    pub(super) const HASHES: u64 = 4;
    pub(super) const SYMBOLS: u64 = 6;
    pub(super) const RELOCATIONS: u64 = 7;
    pub(super) const RELOCATIONS_LENGTH: u64 = 8;
    pub(super) const CALLS: u64 = 23;
    pub(super) const RELATIVE_COUNT: u64 = 0x6fff_fff9;
    pub(super) const GNU_HASHES: u64 = 0x6fff_fef5;

    /// Those whose values are addresses: tables, functions and arrays of functions, hashes, versions.
    pub(super) const ADDRESSES: &[u64] = &[
        3,
        HASHES,
        5,
        SYMBOLS,
        RELOCATIONS,
        12,
        13,
        CALLS,
        25,
        26,
        32,
        GNU_HASHES,
        0x6fff_fff0,
        0x6fff_fffc,
        0x6fff_fffe,
    ];

    /// Those whose values are names, lengths, counts and flags, or what a debugger is told.
    pub(super) const OTHERS: &[u64] = &[
        1,
        CALLS_LENGTH,
        RELOCATIONS_LENGTH,
        9,
        10,
        11,
        14,
        15,
        16,
        20,
        21,
        24,
        27,
        28,
        29,
        30,
        33,
        RELATIVE_COUNT,
        0x6fff_fffb,
        0x6fff_fffd,
        0x6fff_ffff,
    ];
}

/// Kinds of relocations (`ELF64_R_TYPE`).
mod relocation {
    pub(super) const CALL: u64 = 7;
    pub(super) const RELATIVE: u64 = 8;
    pub(super) const INDIRECT: u64 = 37;

    /// The value of a symbol, its entry in the global table, and what belongs to a thread.
    pub(super) const BY_LIBRARIES: &[u64] = &[1, 6, 16, 17, 18];
}

/// What a symbol says of itself.
mod symbol {
    /// The kind of one that is counted from a thread's own memory.
    pub(super) const OF_THREAD: u64 = 6;

    /// The sections of the program itself; beyond are those without an address.
    pub(super) const SECTIONS: std::ops::Range<u64> = 1..0xff00;
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn this_program() -> File {
        File::open(std::env::current_exe().expect("a running program")).expect("it can be read")
    }

    #[test]
    fn a_settled_program_does_what_it_did() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("settled");
        let list = |program: &std::path::Path| {
            let output = Command::new(program).arg("--list").output().expect("it starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        for place in [anywhere(), PLACES.start, PLACES.end - PAGE] {
            fs::write(&path, settle(&this_program(), place).expect("it can be moved")).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
            assert_eq!(list(&path), list(&std::env::current_exe().expect("a program")), "at {place:#x}");
        }
        let again = settle(&File::open(&path).expect("a file"), anywhere());
        assert!(matches!(again, Err(Unknown("it has its place already"))), "{again:?}");
    }

    #[test]
    fn nothing_is_left_to_relocate_but_what_libraries_decide() {
        let place = anywhere();
        let image = settle(&this_program(), place).expect("it can be moved");
        let image = Image { entries: 0, dynamic: (0, 0), place, bytes: image };
        let entries = image.number(56, 2).expect("a count");
        let headers = (0..entries).map(|nth| HEADER as u64 + nth * ENTRY as u64);
        let dynamic = headers.filter(|at| image.number(*at, 4).expect("a kind") == segment::DYNAMIC);
        let at = dynamic.map(|at| image.number(at + 8, 8).expect("an offset")).next().expect("a dynamic section");
        let image = Image { dynamic: (at, 4096), ..image };
        let tags = image.tags().expect("tags");
        assert_eq!(tags.value(tag::RELATIVE_COUNT), 0);
        let (start, length) = (tags.value(tag::RELOCATIONS) - place, tags.value(tag::RELOCATIONS_LENGTH));
        for nth in 0..length / RELOCATION {
            let kind = image.number(start + nth * RELOCATION + 8, 4).expect("a kind");
            assert_ne!(kind, relocation::RELATIVE);
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_refused_or_moved_and_never_worse() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("damaged");
        let whole = fs::read(std::env::current_exe().expect("a program")).expect("it can be read");
        for length in [0, 3, 63, 64, 119, 500, 4096, 1 << 20] {
            fs::write(&path, &whole[..length]).expect("a file");
            assert!(settle(&File::open(&path).expect("a file"), anywhere()).is_err(), "{length} bytes");
        }
        // Words of the headers, gone wild.
        let head = HEADER + ENTRY * 14;
        fs::write(&path, &whole).expect("a file");
        let file = File::options().read(true).write(true).open(&path).expect("a file");
        for at in (16..head).step_by(16) {
            file.write_all_at(&[0xff; 8], at as u64).expect("written");
            drop(settle(&file, anywhere()));
            file.write_all_at(&whole[at..at + 8], at as u64).expect("written");
        }
        assert!(settle(&file, anywhere()).is_ok());
    }

    #[test]
    fn no_two_launchers_choose_alike() {
        let places: std::collections::BTreeSet<u64> = (0..100).map(|_| anywhere()).collect();
        assert!(places.len() > 95 && places.iter().all(|place| PLACES.contains(place) && place % PAGE == 0));
    }
}
