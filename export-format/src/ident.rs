//! Names for things that outlive one process: prefixed ids and app ids.
//!
//! An id is handed from the database to a URL to a log line to a file name. A bare UUID says nothing about what it
//! names, and two kinds of id are easily swapped; so each kind is a type of its own and shows its kind in its text
//! (`srv_0193…`). Ids are UUIDv7, so that sorting them sorts by creation.
//!
//! An id is parsed where it enters (a path, a cookie, a row) and carried as a type from there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the [`prefixed_id!`](crate::prefixed_id) macro needs from this crate's dependencies.
#[doc(hidden)]
pub mod support {
    pub use serde;
    pub use uuid;

    /// A UUIDv7 for the given moment, in Unix milliseconds.
    pub fn uuid_at(now_ms: i64) -> uuid::Uuid {
        let millis = u64::try_from(now_ms).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
    }

    /// Reads `<prefix>_<32 lower-case hex digits>`, and nothing that merely resembles it.
    pub fn parse(prefix: &'static str, text: &str) -> Result<uuid::Uuid, super::IdError> {
        let refuse = || super::IdError { prefix, text: text.chars().take(64).collect() };
        let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(refuse)?;
        if digits.len() != 32 || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refuse());
        }
        uuid::Uuid::try_parse(digits).map_err(|_| refuse())
    }
}

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id of the form {prefix}_<32 hex digits>")]
pub struct IdError {
    /// The prefix that was expected, without the underscore.
    pub prefix: &'static str,
    /// What was given instead, cut to 64 characters.
    pub text: String,
}

/// Defines an id type: UUIDv7 inside, `prefix_<32 hex>` as text and in serde.
///
/// ```
/// export_format::prefixed_id! {
///     /// One person's server.
///     pub struct ServerId("srv")
/// }
/// let id = ServerId::new(1_764_000_000_000);
/// assert!(id.to_string().starts_with("srv_"));
/// assert_eq!(id.to_string().parse::<ServerId>(), Ok(id));
/// ```
#[macro_export]
macro_rules! prefixed_id {
    ($(#[$doc:meta])* $vis:vis struct $name:ident($prefix:literal) $(;)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name($crate::ident::support::uuid::Uuid);

        #[allow(dead_code, unreachable_pub, reason = "every kind of id has the same small set of functions")]
        impl $name {
            /// What the text of every id of this kind begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, made at `now_ms` (Unix milliseconds).
            #[must_use]
            pub fn new(now_ms: i64) -> Self {
                Self($crate::ident::support::uuid_at(now_ms))
            }

            /// The UUID inside.
            #[must_use]
            pub const fn uuid(self) -> $crate::ident::support::uuid::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::ident::IdError;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                $crate::ident::support::parse($prefix, text).map(Self)
            }
        }

        impl $crate::ident::support::serde::Serialize for $name {
            fn serialize<S: $crate::ident::support::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> $crate::ident::support::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::ident::support::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let text = <::std::string::String as $crate::ident::support::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err($crate::ident::support::serde::de::Error::custom)
            }
        }
    };
}

/// Which app: a reverse domain name such as `org.example.notes`.
///
/// Invariants: at least three segments of `a-z`, `0-9` and inner `-`, the first beginning with a letter; at most 35
/// characters; no `_`, which CEPS keeps for its own names.
///
/// ```
/// use export_format::AppId;
/// let id: AppId = "org.example.notes".parse()?;
/// assert_eq!(id.as_str(), "org.example.notes");
/// assert!("notes".parse::<AppId>().is_err());
/// # Ok::<(), export_format::ident::AppIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId(Box<str>);

impl AppId {
    /// The longest allowed id, in characters.
    pub const MAX_LEN: usize = 35;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no app id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppIdError {
    /// Longer than [`AppId::MAX_LEN`].
    #[error("an app id has at most 35 characters")]
    TooLong,
    /// Fewer than three segments.
    #[error("an app id has at least three parts, as in org.example.notes")]
    TooFewSegments,
    /// A segment that is empty or has other characters than `a-z`, `0-9` and inner `-`.
    #[error("the parts of an app id consist of a-z, 0-9 and inner hyphens, and the first begins with a letter")]
    BadSegment,
}

impl FromStr for AppId {
    type Err = AppIdError;

    fn from_str(text: &str) -> Result<Self, AppIdError> {
        if text.len() > Self::MAX_LEN {
            return Err(AppIdError::TooLong);
        }
        let sound = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && !segment.starts_with('-')
                && !segment.ends_with('-')
        };
        if !text.split('.').all(sound) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(AppIdError::BadSegment);
        }
        if text.split('.').count() < 3 {
            return Err(AppIdError::TooFewSegments);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for AppId {
    type Error = AppIdError;

    fn try_from(text: String) -> Result<Self, AppIdError> {
        text.parse()
    }
}

impl From<AppId> for String {
    fn from(id: AppId) -> Self {
        id.0.into()
    }
}

impl AsRef<str> for AppId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    prefixed_id! {
        /// An id for the tests.
        struct ThingId("thg")
    }

    #[test]
    fn an_id_round_trips_as_text_and_json_and_sorts_by_time() {
        let early = ThingId::new(1_000);
        let late = ThingId::new(2_000);
        assert!(early < late && early.to_string() < late.to_string());
        let json = serde_json::to_string(&early).unwrap();
        assert_eq!(json, format!("\"{early}\""));
        assert_eq!(serde_json::from_str::<ThingId>(&json).unwrap(), early);
        assert_eq!(early.uuid().get_version_num(), 7);
    }

    #[test]
    fn an_id_of_another_kind_or_spelling_is_refused() {
        let text = ThingId::new(1_000).to_string();
        for wrong in [text.replace("thg", "srv"), text.to_uppercase(), text[..35].to_owned(), text.replace('_', "")] {
            assert!(wrong.parse::<ThingId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn app_ids_are_reverse_domain_names() {
        for good in ["org.freezr.notes", "a.b.c", "org.my-host.app2", "org.matrix.conduit"] {
            assert_eq!(good.parse::<AppId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "notes",
            "org.notes",
            "org..notes",
            "org.a_b.notes",
            "Org.freezr.notes",
            "org.-a.b",
            "1.b.c",
            "org.example.../x",
        ] {
            assert!(bad.parse::<AppId>().is_err(), "{bad}");
        }
        assert_eq!("org.example.a-name-that-is-far-too-long".parse::<AppId>(), Err(AppIdError::TooLong));
    }
}
