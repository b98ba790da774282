//! The texts that make an archive a BagIt bag (RFC 8493), written in one way and read strictly.
//!
//! BagIt leaves freedoms (several spaces, a leading `./`, escapes for `%`) on which its own tools disagree. A manifest
//! here has one form: digest, two spaces, path, line feed; sorted by the bytes of the path.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::path::EntryPath;

/// The names of the bag's own files, in their order in the ZIP.
pub mod names {
    /// BagIt's declaration.
    pub const BAGIT: &str = "bagit.txt";
    /// Facts about the bag.
    pub const BAG_INFO: &str = "bag-info.txt";
    /// Digests of the bag's own files; what the signature is over.
    pub const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
    /// The signature.
    pub const SIGNATURE: &str = "tagmanifest-sha256.txt.sig";
    /// What the archive is.
    pub const PCC: &str = "pcc.json";
    /// The rules of this kind of bag, for BagIt profile validators.
    pub const PROFILE: &str = "bagit-profile.json";
    /// The page for people.
    pub const START_HERE: &str = "START-HERE.html";
    /// Digests of everything in `data/`.
    pub const MANIFEST: &str = "manifest-sha256.txt";

    /// All of them, in their order in the ZIP.
    pub const TAG_FILES: [&str; 8] = [BAGIT, BAG_INFO, TAG_MANIFEST, SIGNATURE, PCC, PROFILE, START_HERE, MANIFEST];
    /// Those the tag manifest lists.
    pub const LISTED: [&str; 6] = [START_HERE, BAG_INFO, PROFILE, BAGIT, MANIFEST, PCC];

    /// What a delta takes from the archive it builds on.
    pub const FETCH: &str = "fetch.txt";
    /// In a delta, the full archive's page for people.
    pub const FULL_START_HERE: &str = "full/START-HERE.html";
    /// In a delta, the full archive's [`PCC`].
    pub const FULL_PCC: &str = "full/pcc.json";
    /// In a delta, the full archive's [`TAG_MANIFEST`].
    pub const FULL_TAG_MANIFEST: &str = "full/tagmanifest-sha256.txt";
    /// In a delta, the full archive's [`SIGNATURE`].
    pub const FULL_SIGNATURE: &str = "full/tagmanifest-sha256.txt.sig";

    /// All of a delta's own files, in their order in the ZIP.
    pub const DELTA_FILES: [&str; 13] = [
        BAGIT,
        BAG_INFO,
        TAG_MANIFEST,
        SIGNATURE,
        PCC,
        PROFILE,
        START_HERE,
        MANIFEST,
        FETCH,
        FULL_START_HERE,
        FULL_PCC,
        FULL_TAG_MANIFEST,
        FULL_SIGNATURE,
    ];
    /// Those the tag manifest of a delta lists.
    pub const DELTA_LISTED: [&str; 11] = [
        START_HERE,
        BAG_INFO,
        PROFILE,
        BAGIT,
        FETCH,
        FULL_START_HERE,
        FULL_PCC,
        FULL_TAG_MANIFEST,
        FULL_SIGNATURE,
        MANIFEST,
        PCC,
    ];
    /// The full archive's file, and the delta's file it stands as.
    pub(crate) const OF_FULL: [(&str, &str); 8] = [
        (BAGIT, BAGIT),
        (BAG_INFO, BAG_INFO),
        (TAG_MANIFEST, FULL_TAG_MANIFEST),
        (SIGNATURE, FULL_SIGNATURE),
        (PCC, FULL_PCC),
        (PROFILE, PROFILE),
        (START_HERE, FULL_START_HERE),
        (MANIFEST, MANIFEST),
    ];
}

/// The whole of `bagit.txt`.
pub const DECLARATION: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
/// Where the profile is published.
pub const PROFILE_ID: &str = "https://pcc.example/spec/v1/bagit-profile.json";
/// The whole of `bagit-profile.json`.
pub const PROFILE: &str = include_str!("bagit-profile.json");

/// One line of a manifest.
#[must_use]
pub(crate) fn manifest_line(digest: &Digest, path: &str) -> String {
    format!("{digest}  {path}\n")
}

/// A line that is not of the one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) why: String,
}

/// Reads a manifest: its lines as (path, digest) in their order, and every line that is not of the one form.
pub(crate) fn parse_manifest(text: &[u8]) -> (Vec<(EntryPath, Digest)>, Vec<BadLine>) {
    let mut lines = Vec::new();
    let mut bad = Vec::new();
    if !text.is_empty() && !text.ends_with(b"\n") {
        bad.push(BadLine { line: text.split(|&b| b == b'\n').count(), why: "the last line does not end".to_owned() });
    }
    for (index, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
        match parse_line(line.strip_suffix(b"\n").unwrap_or(line)) {
            Ok(entry) => lines.push(entry),
            Err(why) => bad.push(BadLine { line: index + 1, why }),
        }
    }
    (lines, bad)
}

fn parse_line(line: &[u8]) -> Result<(EntryPath, Digest), String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let (digest, path) = line.split_once("  ").ok_or("it is not a digest, two spaces and a path")?;
    let digest = digest.parse().map_err(|err| format!("{err}"))?;
    let path = path.parse().map_err(|err| format!("{err}"))?;
    Ok((path, digest))
}

/// Writes `bag-info.txt`.
pub(crate) fn bag_info(manifest: &Manifest, bytes: u64, files: u64) -> String {
    let date = manifest.snapshot.at.get(..10).unwrap_or(&manifest.snapshot.at);
    let mut text = String::new();
    for (label, value) in [
        ("Bag-Software-Agent", manifest.source.software.as_str()),
        ("BagIt-Profile-Identifier", PROFILE_ID),
        ("Bagging-Date", date),
        ("External-Identifier", &manifest.subject.did),
        ("Payload-Oxum", &format!("{bytes}.{files}")),
        ("Source-Organization", &manifest.source.provider),
    ] {
        // A line break in a value would begin another label.
        let value = value.replace(|c: char| c.is_control(), " ");
        let value = value.trim();
        let _ = writeln!(text, "{label}: {}", if value.is_empty() { "unknown" } else { value });
    }
    text
}

/// Reads `bag-info.txt`: labels in lower case, with their values.
///
/// BagIt allows values to go on over several lines and blanks in many places; here a line has one form.
pub(crate) fn parse_info(text: &str) -> Result<BTreeMap<String, Vec<String>>, BadLine> {
    let mut info: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bad = |why: &str| BadLine { line: index + 1, why: why.to_owned() };
        let line = line.strip_suffix('\n').ok_or_else(|| bad("it does not end"))?;
        let (label, value) =
            line.split_once(": ").ok_or_else(|| bad("it is not a label, a colon, a space and a value"))?;
        if label.is_empty() || !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(bad("its label does not consist of letters, digits and hyphens"));
        }
        if value.is_empty() || value.trim() != value || value.contains(char::is_control) {
            return Err(bad("its value is empty, has blanks around it or control characters in it"));
        }
        info.entry(label.to_ascii_lowercase()).or_default().push(value.to_owned());
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_about_the_bag_has_one_form() {
        let info = parse_info("Bagging-Date: 2026-11-21\nX-1: a: b\nx-1: c\n").unwrap();
        assert_eq!(info["x-1"], ["a: b", "c"]);
        for wrong in [
            "A: b",
            "A:b\n",
            "A : b\n",
            "A: \n",
            "A:  b\n",
            "A: b \n",
            "A: b\r\n",
            ": b\n",
            "A: b\n c\n",
            "\n",
            "\u{feff}A: b\n",
            "A: b\tc\n",
        ] {
            assert!(parse_info(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_manifest_has_one_form() {
        let digest = Digest::of(b"x");
        let good = manifest_line(&digest, "data/a b.txt");
        let (lines, bad) = parse_manifest(good.as_bytes());
        assert_eq!((lines, bad), (vec![("data/a b.txt".parse().unwrap(), digest)], vec![]));
        for wrong in [
            good.trim_end().to_owned(),
            good.replace("  ", " "),
            good.replace("  ", " *"),
            good.replace('\n', "\r\n"),
            good.replace("data", "./data"),
            good.replace("a b", "a%20b"),
            good.to_uppercase(),
            format!("{good}\n"),
        ] {
            assert!(!parse_manifest(wrong.as_bytes()).1.is_empty(), "{wrong:?}");
        }
    }
}
