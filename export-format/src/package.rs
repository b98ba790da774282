//! Who made an app package: a list of its files and a signature over that list (APPS.md 3).
//!
//! The list is what `sha256sum` prints, the signature what `ssh-keygen -Y sign` makes, both files of the package. So
//! `sha256sum -c` and `ssh-keygen -Y verify` check a package with nothing of ours, and a package may be packed anew
//! without losing its maker.
//!
//! As with archives, the key in a package proves nothing by itself: it says that two packages have one maker.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Digest;
use crate::signature::{SignatureError, Signer, SigningKey, signed_for};

/// The namespace of a maker's signature.
pub const NAMESPACE: &str = "pcc-app@v1";
/// The file that lists all others with their digests.
pub const LIST: &str = "files.sha256";
/// The file with the signature over [`LIST`].
pub const SIGNATURE: &str = "files.sha256.sig";

/// Why a package is not believed to be its maker's.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A list without a signature, or the other way about.
    #[error("it has only one of {LIST} and {SIGNATURE}")]
    Half,
    /// The signature is of no use.
    #[error("its signature does not hold")]
    Signature(#[from] SignatureError),
    /// The list says something other than the files.
    #[error("{0:?} is not as its maker signed it")]
    Changed(String),
    /// The list names what is not there, is in another order, or is spelled otherwise.
    #[error("its signed list is not the list of its files")]
    List,
}

/// The list of these files, in the one order and spelling there is. The list and its signature are left out.
pub fn list<'a>(files: impl IntoIterator<Item = (&'a str, Digest)>) -> String {
    let sorted: BTreeMap<&str, Digest> = files.into_iter().filter(|(path, _)| !is_ours(path)).collect();
    let mut text = String::new();
    for (path, digest) in sorted {
        let _ = writeln!(text, "{digest}  {path}");
    }
    text
}

/// Signs a list, as `ssh-keygen -Y sign -n pcc-app@v1` does.
///
/// # Errors
/// Only when the key is unusable.
pub fn sign(list: &str, maker: &Signer) -> Result<String, SignatureError> {
    maker.sign_for(NAMESPACE, list.as_bytes())
}

/// Whose package this is: the key that signed exactly these files, or none when nobody signed.
///
/// # Errors
/// When somebody signed something else. Such a package was changed on its way.
pub fn maker<'a>(
    written: Option<&[u8]>,
    signature: Option<&[u8]>,
    files: impl IntoIterator<Item = (&'a str, Digest)>,
) -> Result<Option<SigningKey>, Broken> {
    let (written, signature) = match (written, signature) {
        (None, None) => return Ok(None),
        (Some(written), Some(signature)) => (written, signature),
        _ => return Err(Broken::Half),
    };
    let key = signed_for(NAMESPACE, signature, written)?;
    let true_list = list(files);
    if written == true_list.as_bytes() {
        return Ok(Some(key));
    }
    let said: std::collections::HashSet<&[u8]> = written.split(|byte| *byte == b'\n').collect();
    let odd = true_list.lines().find(|line| !said.contains(line.as_bytes()));
    Err(odd.map_or(Broken::List, |line| Broken::Changed(line.chars().skip(66).collect())))
}

fn is_ours(path: &str) -> bool {
    path == LIST || path == SIGNATURE
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files<'a>(all: &[(&'a str, &str)]) -> Vec<(&'a str, Digest)> {
        all.iter().map(|(path, text)| (*path, Digest::of(text.as_bytes()))).collect()
    }

    #[test]
    fn a_package_is_its_makers_as_long_as_no_file_is_changed_added_or_taken_away() {
        let signer = Signer::from_seed(&[5; 32]);
        let honest = files(&[("manifest.json", "{}"), ("index.html", "hello"), ("files.sha256", "x")]);
        let written = list(honest.clone());
        assert!(written.ends_with("  manifest.json\n") && written.lines().count() == 2);
        let signature = sign(&written, &signer).unwrap();
        let look = |files: Vec<(&str, Digest)>| maker(Some(written.as_bytes()), Some(signature.as_bytes()), files);
        assert_eq!(look(honest.clone()).unwrap(), Some(signer.public()));
        let changed = look(files(&[("manifest.json", "{}"), ("index.html", "hellO")]));
        assert!(matches!(changed, Err(Broken::Changed(path)) if path == "index.html"));
        let more = look(files(&[("manifest.json", "{}"), ("index.html", "hello"), ("z.js", "1")]));
        assert!(matches!(more, Err(Broken::Changed(path)) if path == "z.js"));
        assert!(matches!(look(files(&[("manifest.json", "{}")])), Err(Broken::List)));
        assert!(matches!(maker(Some(written.as_bytes()), None, honest.clone()), Err(Broken::Half)));
        assert_eq!(maker(None, None, honest.clone()).unwrap(), None);
        let for_archives = signer.sign(written.as_bytes()).unwrap();
        let other = maker(Some(written.as_bytes()), Some(for_archives.as_bytes()), honest);
        assert!(matches!(other, Err(Broken::Signature(SignatureError::Namespace(_)))));
    }
}
