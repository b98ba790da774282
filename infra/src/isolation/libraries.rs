//! Which shared libraries a program needs, asked of the program's own loader.
//!
//! The sandbox shows a runtime exactly these files. The loader named in the program knows best: it is the one
//! that will look for them.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The loader and the libraries of a program, none when it is linked statically.
pub(super) fn of(program: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(loader) = loader_of(program)? else { return Ok(Vec::new()) };
    let listed = Command::new(&loader).arg("--list").arg(program).stdin(Stdio::null()).output()?;
    if !listed.status.success() {
        let said = String::from_utf8_lossy(&listed.stderr);
        return Err(io::Error::other(format!("{} --list: {}", loader.display(), said.trim())));
    }
    let mut files = parse(&String::from_utf8_lossy(&listed.stdout));
    files.push(loader);
    files.sort();
    files.dedup();
    Ok(files)
}

/// Lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f…)`, the loader itself, and the vDSO without a file.
fn parse(listing: &str) -> Vec<PathBuf> {
    let file_of = |line: &str| {
        let after = line.split_once("=>").map_or(line, |(_, after)| after);
        let path = after.trim().split(" (0x").next().unwrap_or_default();
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    listing.lines().filter_map(file_of).collect()
}

/// The interpreter named in a 64-bit ELF file of this machine's byte order.
fn loader_of(program: &Path) -> io::Result<Option<PathBuf>> {
    const INTERPRETER: u32 = 3;
    const ENTRY: usize = 56;
    let mut file = fs::File::open(program)?;
    let mut head = Vec::new();
    (&mut file).take(16 * 1024).read_to_end(&mut head)?;
    if !head.starts_with(b"\x7fELF\x02") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a 64-bit ELF program"));
    }
    let table = usize::try_from(word(&head, 32, 8)?).unwrap_or(usize::MAX);
    let entries = usize::try_from(word(&head, 56, 2)?).unwrap_or(0);
    for index in 0..entries {
        let at = table.saturating_add(index * ENTRY);
        if word(&head, at, 4)? != u64::from(INTERPRETER) {
            continue;
        }
        let offset = usize::try_from(word(&head, at + 8, 8)?).unwrap_or(usize::MAX);
        let length = usize::try_from(word(&head, at + 32, 8)?).unwrap_or(usize::MAX);
        let name = head.get(offset..offset.saturating_add(length)).ok_or_else(cut_short)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        return Ok(Some(PathBuf::from(OsStr::from_bytes(name))));
    }
    Ok(None)
}

fn word(head: &[u8], at: usize, length: usize) -> io::Result<u64> {
    let bytes = head.get(at..at.saturating_add(length)).ok_or_else(cut_short)?;
    let mut word = [0; 8];
    word[..length].copy_from_slice(bytes);
    Ok(u64::from_le_bytes(word))
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its program headers are not where they should be")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_gives_the_files_and_leaves_out_what_has_none() {
        let listing =
            "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibm.so.6 => /lib/libm.so.6 (0x00007f)\n\t/lib64/ld.so (0x00007f)\n";
        assert_eq!(parse(listing), [PathBuf::from("/lib/libm.so.6"), PathBuf::from("/lib64/ld.so")]);
    }

    #[test]
    fn the_files_of_a_running_program_are_those_it_has_mapped() {
        let program = std::env::current_exe().expect("a running program");
        let files = of(&program).expect("a listing");
        let maps = fs::read_to_string("/proc/self/maps").expect("the kernel's own list");
        for file in files {
            let real = fs::canonicalize(&file).expect("a file");
            assert!(maps.contains(&*real.to_string_lossy()), "{} is not mapped", file.display());
        }
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("script");
        fs::write(&path, "#!/bin/sh\n").expect("a file");
        assert_eq!(of(&path).expect_err("not ELF").kind(), io::ErrorKind::InvalidData);
    }
}
