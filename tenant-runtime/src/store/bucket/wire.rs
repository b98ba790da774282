//! What a runtime and its host's broker say to each other: HTTP/2 over one connected socket.
//!
//! ```text
//! GET    /object/<key>          the object, its version in a header; with `range`, some of its bytes
//! GET    /stat/<key>            its size and time, in headers
//! PUT    /object/<key>          written; with an expectation, only if that holds (412 if not)
//! DELETE /object/<key>          gone
//! GET    /list/<prefix>         one JSON array
//! POST   /draft                 begins an object whose length is not known; answers its number
//! PUT    /draft/<number>        more bytes
//! POST   /draft/<number>/<key>  it appears
//! DELETE /draft/<number>        given up
//! ```
//!
//! Keys are relative: whose objects they are was settled before the first byte, by whoever made the connection. Both
//! ends are of one build, but not of one mind: a runtime that was taken over says whatever it likes, so the broker
//! takes keys by [`is_key`] only, and bounds every body.

use hyper::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Listed, Version};
use crate::store::error::Error;

/// The largest object that is written or read in one piece, in bytes; longer ones are drafts and ranges.
pub const WHOLE: u64 = 32 << 20;

/// The most bytes of one range, and of one piece of a draft.
pub const PIECE: u64 = 16 << 20;

/// The first line on a new connection, by which whoever made it says for which server it is.
pub const PREFACE: &str = "freehold-storage 1 ";

pub(super) const VERSION: &str = "x-freehold-version";
pub(super) const EXPECT: &str = "x-freehold-expect";
pub(super) const ABSENT: &str = "absent";
pub(super) const SIZE: &str = "x-freehold-size";
pub(super) const MODIFIED: &str = "x-freehold-modified";

/// One line of a listing.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    key: String,
    size: u64,
    modified: i64,
}

impl From<Listed> for Line {
    fn from(listed: Listed) -> Self {
        Self { key: listed.key, size: listed.size, modified: listed.modified.as_millisecond() }
    }
}

impl From<Line> for Listed {
    fn from(line: Line) -> Self {
        let modified = Timestamp::from_millisecond(line.modified).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { key: line.key, size: line.size, modified }
    }
}

/// Whether a text may name an object: parts of plain characters with single slashes between, none of them hidden,
/// so that it can neither leave its prefix nor be read in two ways.
#[must_use]
pub fn is_key(text: &str) -> bool {
    text.len() <= 512 && text.split('/').all(is_part)
}

/// Whether a text may begin the names of objects: like a key, with a last part that is empty or not whole yet.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    let (folder, last) = text.rsplit_once('/').map_or((None, text), |(folder, last)| (Some(folder), last));
    text.len() <= 512 && folder.is_none_or(is_key) && (last.is_empty() || is_part(last))
}

fn is_part(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
}

/// A version as it stands in a header.
pub(super) fn to_header(version: &Version) -> String {
    hex::encode(&version.0)
}

/// A version as it stood in a header.
pub(super) fn from_header(text: &str) -> Option<Version> {
    let bytes = hex::decode(text).ok()?;
    String::from_utf8(bytes).ok().map(Version)
}

/// How an error goes over the wire.
pub(super) fn status(error: &Error) -> StatusCode {
    match error {
        Error::Missing { .. } => StatusCode::NOT_FOUND,
        Error::Damaged { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
        Error::Refused { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The error that came over the wire.
pub(super) fn error(doing: &'static str, key: &str, status: StatusCode, words: String) -> Error {
    let key = key.to_owned();
    match status {
        StatusCode::NOT_FOUND => Error::Missing { what: "object", name: key },
        StatusCode::UNPROCESSABLE_ENTITY => Error::Damaged { key, detail: words },
        StatusCode::INSUFFICIENT_STORAGE => Error::Full { doing, what: key },
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Error::Refused { doing, key, why: words },
        _ => Error::unavailable(doing, &key, std::io::Error::other(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_leave_its_prefix() {
        for good in ["head", "seg/1-2-r", "blob/0af", "snap/a.b_c-D", "upload/x/part.0"] {
            assert!(is_key(good) && is_prefix(good), "{good}");
        }
        for bad in
            ["", "/", "/head", "head/", "a//b", "..", "a/../b", ".pending", "a/.b", "a b", "a%2e", "ä", "a\\b", "a\0"]
        {
            assert!(!is_key(bad), "{bad:?} was taken");
        }
        assert!(!is_key(&"a".repeat(513)));
        for good in ["", "seg/", "snap/a", "a/b/"] {
            assert!(is_prefix(good), "{good:?}");
        }
        for bad in ["/", "//", "../", "a/../", "/a", ".", "a//", "%"] {
            assert!(!is_prefix(bad), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_version_survives_a_header() {
        let version = Version("\"a tag\"\u{1f}7".to_owned());
        assert_eq!(from_header(&to_header(&version)), Some(version));
        assert_eq!(from_header("zz"), None);
    }

    #[test]
    fn an_error_arrives_as_what_it_was() {
        let errors = [
            Error::Missing { what: "object", name: "k".into() },
            Error::damaged("k", "short"),
            Error::Full { doing: "write", what: "k".into() },
            Error::Refused { doing: "write", key: "k".into(), why: "no".into() },
            Error::unavailable("write", "k", std::io::Error::other("down")),
        ];
        for sent in errors {
            let arrived = error("write", "k", status(&sent), "words".into());
            assert_eq!(std::mem::discriminant(&arrived), std::mem::discriminant(&sent), "{sent:?}");
            assert_eq!(arrived.kind(), sent.kind());
        }
    }
}
