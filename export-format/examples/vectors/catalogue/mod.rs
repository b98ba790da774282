//! Every archive the standard is proved with: sound ones for each version, and a broken one for each breach.
//!
//! They are made here and nowhere else: the example `vectors` writes them down for others to run, the tests hold our
//! own readers to them, the fuzzer begins from them. Making them anew gives the same bytes.

#![allow(dead_code, clippy::unwrap_used, reason = "each of the programs that share this uses a part of it")]

pub(crate) mod bagit;
pub(crate) mod broken;
pub(crate) mod deltas;
pub(crate) mod documents;
pub(crate) mod forge;
pub(crate) mod good;
pub(crate) mod made;
pub(crate) mod sealed;

use export_format::finding::Code;
use forge::Forge;

/// An archive and the verdict on it.
pub(crate) struct Vector {
    /// Its place in the index, `zip/comment`; the file is called so.
    pub(crate) name: String,
    /// The clause of SPEC.md it stands for.
    pub(crate) clause: &'static str,
    /// What there is to see, in words.
    pub(crate) says: String,
    /// The archive's bytes.
    pub(crate) bytes: Vec<u8>,
    /// What a reader reports at least; a refusal among it means that the archive is refused.
    pub(crate) codes: Vec<Code>,
    /// Which key is trusted.
    pub(crate) trust: Trusted,
    /// The room and the number of entries a reader is to allow, where it matters.
    pub(crate) limits: Option<(u64, u64)>,
    /// What a folder with its content is made from, where that is the same breach.
    pub(crate) folder: Option<Forge>,
    /// Whether only the folder is to be checked.
    pub(crate) only_folder: bool,
    /// Too large to be kept in the repository.
    pub(crate) is_large: bool,
}

/// Which key is trusted.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Trusted {
    /// The one that signs all vectors.
    Ours,
    /// This one.
    Other(&'static str),
    /// None is given.
    Nobody,
}

impl Vector {
    pub(crate) fn new(name: impl Into<String>, clause: &'static str, says: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            clause,
            says: says.into(),
            bytes,
            codes: Vec::new(),
            trust: Trusted::Ours,
            limits: None,
            folder: None,
            only_folder: false,
            is_large: false,
        }
    }

    pub(crate) fn with(mut self, codes: &[Code]) -> Self {
        self.codes = codes.to_vec();
        self
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.codes.iter().all(|code| code.severity() != export_format::finding::Severity::Refusal)
    }
}

/// All vectors but those that take long to make, in the order of the index.
pub(crate) fn all() -> Vec<Vector> {
    let mut all = good::all();
    all.extend(deltas::good());
    all.extend(broken::all());
    all.extend(deltas::alone());
    all.extend(documents::all());
    all.extend(bagit::all());
    all
}
