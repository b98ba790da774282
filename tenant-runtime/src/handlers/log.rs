//! What handlers said, for the owner who wants to know: a bounded file for each app in the cache.
//!
//! It is not part of the server's content: it may go with the cache, and no archive has it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use export_format::AppId;

use super::wire::Level;

/// How long a file gets before another is begun; the one before is kept.
const LONGEST: u64 = 64 << 10;

/// The longest line, in characters.
const LINE: usize = 2_000;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, Unix milliseconds.
    pub at: i64,
    /// How loud: `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What.
    pub text: String,
}

fn place(cache: &Path, app: &AppId) -> PathBuf {
    super::folder(cache).join(format!("{app}.log"))
}

/// Adds a line. One that cannot be written is lost, and the server's own log says so.
pub(super) fn add(cache: &Path, app: &AppId, now: i64, level: Level, text: &str) {
    if let Err(error) = append(&place(cache, app), now, level, text) {
        tracing::warn!(app.id = %app, cause = %error, "a line of an app's log was lost");
    }
}

fn append(path: &Path, now: i64, level: Level, text: &str) -> io::Result<()> {
    fs::create_dir_all(super::folder_of(path))?;
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LONGEST) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE).collect();
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{now} {level} {plain}\n").as_bytes())
}

/// The newest lines, newest first.
pub(super) fn newest(cache: &Path, app: &AppId, most: usize) -> Vec<Line> {
    let path = place(cache, app);
    let older = tail(&path.with_extension("log.1")).unwrap_or_default();
    let newer = tail(&path).unwrap_or_default();
    let lines = newer.lines().rev().chain(older.lines().rev()).filter_map(line);
    lines.take(most).collect()
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2 * LONGEST)))?;
    let mut bytes = Vec::new();
    file.take(2 * LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn line(text: &str) -> Option<Line> {
    let (at, rest) = text.split_once(' ')?;
    let (level, text) = rest.split_once(' ')?;
    Some(Line { at: at.parse().ok()?, level: level.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_no_line_makes_another() {
        let cache = tempfile::tempdir().unwrap();
        let app: AppId = "com.example.notes".parse().unwrap();
        assert_eq!(newest(cache.path(), &app, 5), []);
        for n in 0..3000 {
            add(cache.path(), &app, n, Level::Info, &format!("line {n}\n9 error forged {}", "x".repeat(100)));
        }
        let lines = newest(cache.path(), &app, 2000);
        assert!((500..2000).contains(&lines.len()), "{}", lines.len());
        assert_eq!((lines[0].at, lines[1].at), (2999, 2998));
        assert!(lines.iter().all(|line| line.level == "info"));
        let held: u64 = fs::read_dir(super::super::folder(cache.path()))
            .unwrap()
            .map(|f| f.unwrap().metadata().unwrap().len())
            .sum();
        assert!(held < 3 * LONGEST, "{held}");
    }
}
