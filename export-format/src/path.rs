//! Names inside an archive.
//!
//! An archive is unpacked on systems that disagree about names: which characters are allowed, whether `A` and `a` are
//! one file, how an umlaut is spelled. A name that is fine on the server must not be lost, overwrite another, or climb
//! out of its folder elsewhere. So names in an archive come from a small common ground, which [`EntryPath`] checks;
//! the true names of a person's files stand in `files.ndjson`, and [`Namer`] finds an archive name for each.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::digest::Digest;

/// The longest path in an archive, in characters.
pub const MAX_CHARS: usize = 180;
/// The longest single name, in bytes, that common file systems take.
pub const MAX_NAME_BYTES: usize = 255;

/// A name in an archive, such as `data/apps/org.example.notes/files/Photos/IMG_0001.jpg`.
///
/// Invariants: relative, `/` between names, no empty name, no `.` or `..`; NFC; at most 180 characters, each name at
/// most 255 bytes; none of `% < > : " \ | ? *`, control characters or line separators; no name ends in a dot or white
/// space, none begins with white space; none is a Windows device (`CON`, `nul.txt`).
///
/// ```
/// use export_format::EntryPath;
/// let path: EntryPath = "data/account.json".parse()?;
/// assert!(path.is_payload());
/// assert!("data/../etc/passwd".parse::<EntryPath>().is_err());
/// # Ok::<(), export_format::path::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Box<str>);

/// Why a name cannot stand in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Empty, absolute, or with an empty name inside.
    #[error("a name is empty or the path is absolute")]
    EmptyName,
    /// `.` or `..`.
    #[error("a name is \".\" or \"..\", which leads out of its folder")]
    Traversal,
    /// A forbidden character.
    #[error("the character {0:?} is not allowed in an archive")]
    Character(char),
    /// Not in Unicode normal form C.
    #[error("the name is not in Unicode normal form C")]
    NotNfc,
    /// A name that ends in a dot or white space, or begins with white space.
    #[error("a name ends in a dot or white space, or begins with white space")]
    Edge,
    /// A Windows device name.
    #[error("a name is that of a Windows device")]
    Device,
    /// Longer than [`MAX_CHARS`], or one name longer than [`MAX_NAME_BYTES`].
    #[error("the path is longer than 180 characters or a name longer than 255 bytes")]
    TooLong,
}

impl EntryPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is payload (beneath `data/`) rather than one of the bag's own files.
    #[must_use]
    pub fn is_payload(&self) -> bool {
        self.0.starts_with("data/")
    }

    /// The names along the path.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The folders above this path, the outermost first: `a`, `a/b` for `a/b/c`.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// This path in the spelling under which two paths are the same file on some system.
    #[must_use]
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

/// The spelling under which names count as equal: each character by itself to full lower, upper and lower case, then NFC.
///
/// Lower case comes first because `ẞ` has no upper case of its own: only as `ß` does it become `ss`.
///
/// ```
/// use export_format::path::fold;
/// assert_eq!((fold("Straße"), fold("STRAẞE"), fold("ΣΑΣ")), (fold("strasse"), fold("strasse"), fold("σας")));
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

impl FromStr for EntryPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if let Some(bad) = text.chars().find(|&c| is_forbidden(c)) {
            return Err(PathError::Character(bad));
        }
        if text.chars().count() > MAX_CHARS {
            return Err(PathError::TooLong);
        }
        if is_nfc_quick(text.chars()) != IsNormalized::Yes && !text.chars().eq(text.nfc()) {
            return Err(PathError::NotNfc);
        }
        for name in text.split('/') {
            check_name(name)?;
        }
        Ok(Self(text.into()))
    }
}

fn check_name(name: &str) -> Result<(), PathError> {
    if name.is_empty() {
        return Err(PathError::EmptyName);
    }
    if name == "." || name == ".." {
        return Err(PathError::Traversal);
    }
    if name.ends_with('.') || name.ends_with(char::is_whitespace) || name.starts_with(char::is_whitespace) {
        return Err(PathError::Edge);
    }
    if is_device(name) {
        return Err(PathError::Device);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(PathError::TooLong);
    }
    Ok(())
}

fn is_forbidden(c: char) -> bool {
    // Line and paragraph separators: some readers of manifests (Python's among them) end a line there.
    c.is_control() || matches!(c, '%' | '<' | '>' | ':' | '"' | '\\' | '|' | '?' | '*' | '\u{2028}' | '\u{2029}')
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let mut rest = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).unwrap_or_default().chars();
    matches!((rest.next(), rest.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

impl Borrow<str> for EntryPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for EntryPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Two names that are one file, or a file and a folder, on some system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} and {other:?} are the same name on systems that ignore case or Unicode spelling")]
pub struct Collision {
    /// The path that came later.
    pub path: String,
    /// The file or folder it collides with.
    pub other: String,
}

/// The names taken so far; finds every pair that would collide on some system.
#[derive(Debug, Default)]
pub struct Taken {
    files: HashMap<String, Box<str>>,
    folders: HashMap<String, Box<str>>,
}

impl Taken {
    /// Takes `path`, unless it collides with one taken before.
    pub fn take(&mut self, path: &EntryPath) -> Result<(), Collision> {
        let clash = |other: &str| Collision { path: path.to_string(), other: other.to_owned() };
        let folded = path.folded();
        if let Some(other) = self.files.get(&folded).or_else(|| self.folders.get(&folded)) {
            return Err(clash(other));
        }
        for folder in path.folders() {
            let folded = fold(folder);
            if let Some(other) = self.files.get(&folded) {
                return Err(clash(other));
            }
            match self.folders.get(&folded) {
                Some(other) if **other != *folder => return Err(clash(other)),
                Some(_) => {}
                None => {
                    self.folders.insert(folded, folder.into());
                }
            }
        }
        self.files.insert(folded, path.as_str().into());
        Ok(())
    }
}

/// Finds archive names for files whose true names may be anything.
///
/// The result depends only on the root and the true names given so far, in their order; given the same names in the
/// same order, a later export finds the same archive names.
///
/// ```
/// use export_format::path::Namer;
/// let mut namer = Namer::new("data/apps/org.example.photos/files")?;
/// assert_eq!(namer.place("Trips/a.jpg").as_str(), "data/apps/org.example.photos/files/Trips/a.jpg");
/// assert_eq!(namer.place("Trips/A.JPG").as_str(), "data/apps/org.example.photos/files/Trips/A~2.JPG");
/// assert_eq!(namer.place("what?.txt").as_str(), "data/apps/org.example.photos/files/what_.txt");
/// # Ok::<(), export_format::path::PathError>(())
/// ```
#[derive(Debug)]
pub struct Namer {
    root: EntryPath,
    folders: HashMap<String, String>,
    taken: HashSet<String>,
}

impl Namer {
    /// A namer for files beneath `root`.
    ///
    /// # Errors
    /// When `root` is no valid path or leaves no room for names beneath it.
    pub fn new(root: &str) -> Result<Self, PathError> {
        if root.chars().count() + 32 > MAX_CHARS {
            return Err(PathError::TooLong);
        }
        Ok(Self { root: root.parse()?, folders: HashMap::new(), taken: HashSet::new() })
    }

    /// The archive path for the file whose true path (names between `/`) is `true_path`.
    pub fn place(&mut self, true_path: &str) -> EntryPath {
        let names: Vec<&str> = true_path.split('/').filter(|name| !name.is_empty()).collect();
        let (file, folders) = names.split_last().map_or(("unnamed", &[][..]), |(file, folders)| (*file, folders));
        let mut here = self.root.to_string();
        let mut truly = String::new();
        for folder in folders {
            truly.push('/');
            truly.push_str(folder);
            here = match self.folders.get(&truly) {
                Some(known) => known.clone(),
                None => {
                    let chosen = self.free(&here, folder);
                    self.folders.insert(truly.clone(), chosen.clone());
                    chosen
                }
            };
        }
        let path = self.free(&here, file);
        if let Ok(path) = path.parse() {
            return path;
        }
        // Too deep or too long: a flat name made of the digest of the true one.
        let digest = Digest::of(true_path.as_bytes()).to_string();
        let flat = self.free(self.root.as_str().to_owned().as_str(), &format!("long-{}", &digest[..20]));
        flat.parse().unwrap_or_else(|_| self.root.clone())
    }

    /// A name like `wanted` in `folder` that is valid by itself and not taken.
    fn free(&mut self, folder: &str, wanted: &str) -> String {
        let cleaned = clean(wanted);
        let (stem, extension) = match cleaned.rfind('.') {
            Some(dot) if dot > 0 => cleaned.split_at(dot),
            _ => (cleaned.as_str(), ""),
        };
        let mut path = format!("{folder}/{cleaned}");
        let mut next = 2_u64;
        while !self.taken.insert(fold(&path)) {
            path = format!("{folder}/{stem}~{next}{extension}");
            next += 1;
        }
        path
    }
}

fn clean(name: &str) -> String {
    let mut text: String = name.nfc().map(|c| if is_forbidden(c) || c == '/' { '_' } else { c }).collect();
    // Replacing may leave something that composes anew.
    if !text.chars().eq(text.nfc()) {
        text = text.nfc().collect();
    }
    if text.starts_with(char::is_whitespace) {
        text.insert(0, '_');
    }
    if text.ends_with('.') || text.ends_with(char::is_whitespace) {
        text.push('_');
    }
    if is_device(&text) {
        text.insert(0, '_');
    }
    if text.len() > 200 {
        let keep = (0..=160).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let extension =
            text.rfind('.').map(|dot| &text[dot..]).filter(|ext| ext.len() <= 16 && ext.is_ascii()).unwrap_or_default();
        text = format!("{}~{}{extension}", &text[..keep], &Digest::of(name.as_bytes()).to_string()[..12]);
    }
    if text.is_empty() { "_".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<EntryPath, PathError> {
        text.parse()
    }

    #[test]
    fn names_that_work_everywhere_are_taken() {
        for good in [
            "bagit.txt",
            "data/a/b.c",
            "data/Grüße.txt",
            "data/.hidden",
            "data/写真/一.jpg",
            "data/a b",
            "data/COM",
            "data/console.log",
            "data/COM10",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_that_hurt_somewhere_are_refused() {
        use PathError::{Character, Device, Edge, EmptyName, NotNfc, TooLong, Traversal};
        let long = format!("data/{}", "x".repeat(176));
        for (bad, why) in [
            ("", EmptyName),
            ("/etc/passwd", EmptyName),
            ("data//x", EmptyName),
            ("data/", EmptyName),
            ("data/../x", Traversal),
            ("./data", Traversal),
            ("data\\x", Character('\\')),
            ("C:/x", Character(':')),
            ("data/100%", Character('%')),
            ("data/a\nb", Character('\n')),
            ("data/a\u{85}b", Character('\u{85}')),
            ("data/a\u{2028}b", Character('\u{2028}')),
            ("data/a\u{7f}", Character('\u{7f}')),
            ("data/a\0", Character('\0')),
            ("data/x.", Edge),
            ("data/x ", Edge),
            ("data/x./y", Edge),
            ("data/x\u{a0}", Edge),
            ("data/ x", Edge),
            ("data/nul", Device),
            ("data/Con.txt", Device),
            ("data/lpt9.x.y", Device),
            ("data/com1 .x", Device),
            ("data/COM\u{b9}", Device),
            ("data/u\u{308}", NotNfc),
            (long.as_str(), TooLong),
        ] {
            assert_eq!(parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn collisions_are_found_for_files_and_folders() {
        let mut taken = Taken::default();
        taken.take(&parse("data/Foo/a").unwrap()).unwrap();
        taken.take(&parse("data/Foo/Straße").unwrap()).unwrap();
        for clash in
            ["data/Foo/A", "data/foo/b", "data/Foo", "data/Foo/a/b", "data/Foo/STRASSE", "data/Foo/STRA\u{1e9e}E"]
        {
            assert!(taken.take(&parse(clash).unwrap()).is_err(), "{clash}");
        }
        taken.take(&parse("data/Foo/b").unwrap()).unwrap();
    }

    #[test]
    fn a_namer_makes_valid_distinct_names_of_anything() {
        let mut namer = Namer::new("data/apps/org.example.photos/files").unwrap();
        let mut taken = Taken::default();
        let deep = "d/".repeat(120) + "x";
        let wide = "w".repeat(1000) + ".jpeg";
        for name in [
            "a",
            "A",
            "a/b",
            "A/b",
            "../../etc/passwd",
            "..",
            ".",
            "con",
            "x.",
            " x ",
            "a\nb",
            "é",
            "e\u{301}",
            "",
            "/",
            &deep,
            &wide,
            "a?b",
            "a*b",
            "<\u{338}",
            "a/B",
            "a/b",
        ] {
            let path = namer.place(name);
            assert_eq!(path.as_str().parse::<EntryPath>().as_ref(), Ok(&path), "{name:?}");
            taken.take(&path).unwrap_or_else(|clash| panic!("{name:?}: {clash}"));
        }
    }
}
