//! The name of a file within its app: `folder/name`.

/// A file's path. Invariants: relative, no empty, `.` or `..` parts, no control characters or backslashes, NFC, at
/// most 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

/// A text that does not name a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not name a file: use folder/name without .., backslashes or control characters, up to 512 bytes")]
pub struct BadPath(String);

impl FilePath {
    /// The longest path, in bytes.
    pub const LIMIT: usize = 512;

    /// The path of `name` in `folder`; an empty folder is the app's own.
    pub fn join(folder: &str, name: &str) -> Result<Self, BadPath> {
        match folder.trim_matches('/') {
            "" => name.parse(),
            folder => format!("{folder}/{name}").parse(),
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What follows the last dot of the name, in lower case.
    #[must_use]
    pub fn extension(&self) -> String {
        self.name().rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default()
    }

    /// The media type the name suggests.
    #[must_use]
    pub fn media_type(&self) -> String {
        mime_guess::from_path(&self.0).first_or_octet_stream().essence_str().to_owned()
    }
}

impl std::str::FromStr for FilePath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        use unicode_normalization::UnicodeNormalization as _;
        let text: String = text.nfc().collect();
        let part = |part: &str| !matches!(part, "" | "." | "..");
        let sound = text.len() <= Self::LIMIT
            && text.split('/').all(part)
            && !text.chars().any(|c| c.is_control() || c == '\\');
        if sound { Ok(Self(text)) } else { Err(BadPath(text.chars().take(80).collect())) }
    }
}

impl std::fmt::Display for FilePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_stay_within_their_app() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "a\\b", "a\nb", "."] {
            assert!(bad.parse::<FilePath>().is_err(), "{bad:?}");
        }
        assert_eq!(FilePath::join("/albums/2026/", "a b.JPG").unwrap().as_str(), "albums/2026/a b.JPG");
        assert_eq!(FilePath::join("", "x").unwrap().as_str(), "x");
        assert!(FilePath::join("a", "../x").is_err());
    }

    #[test]
    fn a_name_suggests_its_type() {
        let path: FilePath = "albums/IMG_1.JPG".parse().unwrap();
        assert_eq!(
            (path.name(), path.extension().as_str(), path.media_type().as_str()),
            ("IMG_1.JPG", "jpg", "image/jpeg")
        );
    }
}
