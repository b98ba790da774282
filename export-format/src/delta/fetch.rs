//! `fetch.txt` of a delta: a line for each file that is taken from the base.
//!
//! BagIt means it for addresses in the network. Here the only address there is is the base's own name, so that nothing
//! can be made to fetch anything.

use crate::bag::BadLine;
use crate::path::EntryPath;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'t> {
    /// From where: the base's `archiveId`, or the line is refused. It is only compared, so it may be any bytes.
    pub(super) from: &'t [u8],
    /// The length of the content.
    pub(super) size: u64,
    /// Where the file stands in the full archive.
    pub(super) path: EntryPath,
}

/// The longest line: a `urn:uuid:…`, twenty digits, a path of 180 characters of at most 4 bytes, blanks and line feed.
pub(super) const MAX_LINE: u64 = 45 + 1 + 20 + 1 + 720 + 1;

pub(super) fn write(from: &str, size: u64, path: &EntryPath) -> String {
    format!("{from} {size} {path}\n")
}

/// The lines in their order, and every line that is not of the one form.
pub(super) fn parse(text: &[u8]) -> (Vec<Line<'_>>, Vec<BadLine>) {
    let mut lines = Vec::new();
    let mut bad = Vec::new();
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match parse_line(line) {
            Ok(line) => lines.push(line),
            Err(why) => bad.push(BadLine { line: index + 1, why }),
        }
    }
    (lines, bad)
}

fn parse_line(line: &[u8]) -> Result<Line<'_>, String> {
    let line = line.strip_suffix(b"\n").ok_or("it does not end")?;
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (Some(from), Some(digits), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it is not an address, a length and a path".to_owned());
    };
    let plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || !digits.starts_with(b"0"));
    let digits = std::str::from_utf8(digits).ok().filter(|_| plain);
    let size = digits.and_then(|digits| digits.parse().ok()).ok_or("its length is no whole number")?;
    let path = std::str::from_utf8(path).map_err(|_| "its path is not UTF-8")?;
    let path: EntryPath = path.parse().map_err(|why| format!("{why}"))?;
    if !path.is_payload() {
        return Err(format!("{path} is not beneath data/"));
    }
    Ok(Line { from, size, path })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_has_one_form() {
        let path: EntryPath = "data/a b.txt".parse().unwrap();
        let good = write("urn:uuid:x", 12, &path);
        let (lines, bad) = parse(good.as_bytes());
        assert_eq!((lines, bad), (vec![Line { from: b"urn:uuid:x", size: 12, path }], vec![]));
        for wrong in [
            good.trim_end().to_owned(),
            good.replace("12", "012"),
            good.replace("12", "-"),
            good.replace("12", "+12"),
            good.replace("12", ""),
            good.replace(" 12 ", "\t12\t"),
            good.replace("data/", "pcc/"),
            good.replace("data/", "data/../"),
            good.replace("a b", "a%20b"),
            good.replace('\n', "\r\n"),
            format!("{good}\n"),
        ] {
            assert!(!parse(wrong.as_bytes()).1.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn an_address_may_be_any_bytes_and_a_path_may_not() {
        let (lines, bad) = parse(b"\xff 1 data/a\n 1 data/b\nurn:uuid:x 1 data/\xff\n");
        assert_eq!(lines.iter().map(|line| line.from).collect::<Vec<_>>(), [b"\xff".as_slice(), b""]);
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn no_line_is_longer_than_the_longest() {
        let path: EntryPath = format!("data/{}", "\u{1f600}".repeat(60)).parse().unwrap();
        let id = format!("urn:uuid:{}", uuid::Uuid::nil());
        assert!((write(&id, u64::MAX, &path).len() as u64) < MAX_LINE);
        assert_eq!(id.len(), 45);
    }
}
