//! What a check finds, in words a person understands, under codes that stay.
//!
//! A refusal must say what is wrong and how bad it is; "invalid archive" helps nobody. Each finding has a code that
//! never changes its meaning (scripts and translations hang on it), the threat of SPEC.md it belongs to, the entry it
//! is about and a sentence.

use std::fmt;

use serde::{Serialize, Serializer};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Not as it should be, but nothing is lost or unsafe by it.
    Warning,
    /// The archive is refused.
    Refusal,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which kind of thing.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// The threat it belongs to, numbered as in SPEC.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threat: Option<u8>,
    /// Which entry it is about, just as it is called (a name that is not UTF-8 with U+FFFD in it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The general sentence of its code, and what was found here.
    pub message: String,
}

macro_rules! codes {
    ($($name:ident $code:literal $severity:ident $threat:literal $sentence:literal;)+) => {
        /// Kinds of findings.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $sentence] $name,)+
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The code's text, which never changes.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)+ }
            }

            /// What it means.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Code::$name => $sentence,)+ }
            }

            /// How much it weighs.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)+ }
            }

            /// The threat it belongs to, numbered as in SPEC.md.
            #[must_use]
            pub fn threat(self) -> Option<u8> {
                match self { $(Code::$name => if $threat == 0 { None } else { Some($threat) },)+ }
            }
        }
    };
}

codes! {
    Read "io" Refusal 0 "The archive could not be read.";
    NotArchive "zip.end-missing" Refusal 3 "The file does not end as an archive does: it was cut off, or it is no archive.";
    Trailing "zip.trailing" Refusal 3 "Something stands after the end of the archive.";
    End "zip.end" Refusal 3 "The record at the end does not fit the archive.";
    Central "zip.directory" Refusal 3 "The list of entries is damaged.";
    Header "zip.header" Refusal 3 "An entry is described otherwise than the format prescribes.";
    Flags "zip.flags" Refusal 3 "An entry is marked as encrypted, as described only after its content, or as not named in UTF-8.";
    Method "zip.method" Refusal 3 "An entry is packed by a method the format does not use.";
    Mode "zip.mode" Refusal 2 "An entry is not a plain file: a link, folder, device, or one with special rights.";
    Local "zip.local" Refusal 3 "An entry's own header differs from the list of entries.";
    Gap "zip.gap" Refusal 3 "Between the entries stands something that belongs to none.";
    Order "zip.order" Refusal 3 "The entries do not stand in their order.";
    Name "path.invalid" Refusal 1 "An entry's name is not allowed.";
    Duplicate "path.duplicate" Refusal 3 "Two entries have the same name.";
    Collides "path.collision" Refusal 6 "Two names are one on systems that ignore case or Unicode spelling.";
    Stranger "path.unexpected" Refusal 5 "An entry is neither beneath data/ nor one of the bag's own files.";
    TagMissing "bag.tag-file-missing" Refusal 5 "One of the bag's own files is missing.";
    TagTooLong "bag.tag-file-too-long" Refusal 4 "One of the bag's own files is longer than it can rightly be.";
    Declaration "bag.declaration" Refusal 5 "bagit.txt does not declare a BagIt 1.0 bag in UTF-8.";
    Info "bag.info" Refusal 5 "bag-info.txt is not as it must be.";
    Oxum "bag.oxum" Refusal 5 "The bag says it holds another amount of content than it does.";
    Profile "bag.profile" Refusal 5 "bagit-profile.json is not readable.";
    ManifestLine "bag.manifest-line" Refusal 5 "A line of a manifest does not have the one allowed form.";
    ManifestOrder "bag.manifest-order" Refusal 5 "A manifest is not sorted or names a file twice.";
    TagDigest "bag.tag-digest" Refusal 5 "One of the bag's own files was changed: it does not have the digest the tag manifest lists.";
    TagUnlisted "bag.tag-unlisted" Refusal 5 "The tag manifest does not list exactly the bag's own files.";
    Unlisted "bag.unlisted" Refusal 5 "A file is not listed in the manifest.";
    Missing "bag.missing" Refusal 5 "A file listed in the manifest is missing.";
    Digest "bag.digest" Refusal 5 "A file was changed: it does not have the digest the manifest lists.";
    Fetch "bag.fetch" Refusal 8 "The archive wants files fetched from elsewhere, which an import from a file does not do.";
    Crc "entry.crc" Refusal 5 "An entry's content does not have the checksum in its header.";
    Deflate "entry.deflate" Refusal 4 "An entry's packed content is damaged, or unpacks to another length than declared.";
    TooMany "limit.entries" Refusal 4 "There are more entries than allowed.";
    Ratio "limit.ratio" Refusal 4 "An entry would grow on unpacking beyond what the format allows, as bombs do.";
    Quota "limit.quota" Refusal 4 "The content is larger than there is room for.";
    DocumentTooLong "limit.document" Refusal 4 "A document is longer than 8 MiB.";
    SignatureWrong "signature.wrong" Refusal 14 "The signature is unreadable or does not fit the archive.";
    SignatureUntrusted "signature.untrusted" Refusal 14 "The archive is not signed by the expected key.";
    SignatureUnchecked "signature.unchecked" Note 14 "The archive is signed, but whose key that is was not checked: no known key was given.";
    Pcc "pcc.unreadable" Refusal 7 "pcc.json cannot be read.";
    Format "pcc.format" Refusal 5 "pcc.json does not describe an archive of this format.";
    MinReader "pcc.min-reader" Refusal 0 "The archive needs a newer reader than this one.";
    Delta "pcc.delta" Refusal 8 "The archive is a delta, which is complete only together with another.";
    NoDelta "delta.full" Refusal 0 "The archive is no delta: it is complete by itself.";
    DeltaPcc "delta.pcc" Refusal 5 "pcc.json of the delta does not say rightly what it builds on and what comes of it.";
    FetchLine "delta.fetch" Refusal 8 "fetch.txt of the delta is not as it must be.";
    Elsewhere "delta.elsewhere" Refusal 8 "The delta wants a file from elsewhere than the archive it builds on.";
    Twice "delta.twice" Refusal 5 "The delta both carries a file and takes it from the archive it builds on.";
    WrongBase "delta.base" Refusal 5 "This is not the archive the delta builds on.";
    Lacking "delta.lacking" Refusal 5 "The archive the delta builds on does not have a file the delta takes from it.";
    Outcome "delta.result" Refusal 5 "What comes of the delta is not the archive it promises.";
    Bytes "pcc.bytes" Refusal 5 "pcc.json says the archive holds another amount of content than it does.";
    Counts "pcc.counts" Warning 5 "pcc.json counts otherwise than what is inside.";
    Secrets "pcc.secrets" Refusal 5 "A file pcc.json says is sealed is missing or not sealed.";
    Json "doc.json" Refusal 7 "A document is no sound JSON.";
    Document "doc.invalid" Refusal 7 "A document does not say what it must.";
    Row "row.invalid" Refusal 7 "A row is not as it must be.";
    RowOrder "row.order" Refusal 7 "The rows of a table are not sorted by _id or one stands twice.";
    Segment "doc.segments" Refusal 5 "A table's segments are not exactly those its app.json lists.";
    Files "doc.files" Refusal 5 "files.ndjson does not fit the files beside it.";
    BlobMissing "row.blob" Warning 5 "A row refers to a file that is not in the archive.";
    Grants "import.grants" Note 9 "Permissions are shown and asked again on import.";
    Schedules "import.schedules" Note 10 "What was planned to run starts paused after an import.";
    Domains "import.domains" Note 11 "Addresses must be proved again after an import.";
    Link "directory.link" Refusal 2 "The folder holds something that is neither a plain file nor a folder.";
}

impl Code {
    /// The finding of this kind, about the archive as a whole.
    pub(crate) fn found(self, detail: impl fmt::Display) -> Finding {
        self.build(None, &detail.to_string())
    }

    /// The finding of this kind, about one entry.
    pub(crate) fn at(self, path: impl fmt::Display, detail: impl fmt::Display) -> Finding {
        self.build(Some(path.to_string()), &detail.to_string())
    }

    fn build(self, path: Option<String>, detail: &str) -> Finding {
        let message = if detail.is_empty() {
            self.sentence().to_owned()
        } else {
            format!("{} ({})", self.sentence(), printable(detail))
        };
        Finding { code: self, severity: self.severity(), threat: self.threat(), path, message }
    }
}

/// Text from an archive, fit for a terminal: no control characters, and not endless.
fn printable(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(400)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if text.chars().nth(400).is_some() {
        out.push('…');
    }
    out
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", printable(path))?;
        }
        write!(f, "{} [{}", self.message, self.code)?;
        match self.threat {
            Some(threat) => write!(f, ", threat {threat}]"),
            None => f.write_str("]"),
        }
    }
}

/// All findings of a check; beyond a number that helps nobody they are only counted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Findings {
    #[serde(rename = "findings")]
    list: Vec<Finding>,
    refusals: u64,
    /// How many more there were than are listed.
    unlisted: u64,
}

/// The most findings that are listed.
pub const MAX_LISTED: usize = 500;

impl Findings {
    /// Adds one.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.refusals += u64::from(finding.severity == Severity::Refusal);
        if self.list.len() < MAX_LISTED {
            self.list.push(finding);
        } else {
            self.unlisted += 1;
        }
    }

    /// Adds all of `others` behind these.
    pub(crate) fn append(&mut self, others: Self) {
        self.unlisted += others.unlisted;
        let unlisted_refusals =
            others.refusals - others.list.iter().filter(|finding| finding.severity == Severity::Refusal).count() as u64;
        self.refusals += unlisted_refusals;
        others.list.into_iter().for_each(|finding| self.add(finding));
    }

    /// Where the archive is a delta, leaves that and what is wrong with its ZIP or signature: all else it lacks because it
    /// is one.
    pub(crate) fn judge_as_delta(&mut self) {
        if !self.has(Code::Delta) {
            return;
        }
        let stays = |code: Code| {
            code == Code::Delta || ["io", "zip.", "signature."].iter().any(|area| code.as_str().starts_with(area))
        };
        self.list.retain(|finding| stays(finding.code));
        self.refusals = self.list.iter().filter(|finding| finding.severity == Severity::Refusal).count() as u64;
        self.unlisted = 0;
    }

    /// Those listed, in the order they were found.
    #[must_use]
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// How many more there were.
    #[must_use]
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// Whether none of them is a refusal.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.refusals == 0
    }

    /// Whether one of this kind is listed.
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        self.list.iter().any(|finding| finding.code == code)
    }
}

/// An archive that is refused, with everything found.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Refusal {
    /// Everything found, at least one refusal among it.
    pub findings: Findings,
}

impl From<crate::sealed::SealedError> for Refusal {
    fn from(why: crate::sealed::SealedError) -> Self {
        let mut findings = Findings::default();
        findings.add(Code::Read.found(why));
        Self { findings }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut refusals = self.findings.list.iter().filter(|finding| finding.severity == Severity::Refusal);
        match refusals.next() {
            Some(first) => write!(f, "the archive is refused: {first}")?,
            None => f.write_str("the archive is refused")?,
        }
        match self.findings.refusals.saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_sentences_whole() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code}");
            assert!(code.sentence().ends_with('.'), "{code}");
        }
    }
}
