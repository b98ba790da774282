//! From a column to a domain value. What we wrote ourselves and cannot read is our fault, and is said so.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;

use crate::{Error, Result};

/// A column that holds something parsed.
pub(crate) fn id<T: FromStr>(text: &str) -> Result<T>
where
    T::Err: Display,
{
    text.parse().map_err(|error| Error::bug(format!("a column holds {text:?}: {error}")))
}

/// A column of milliseconds.
pub(crate) fn time(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|error| Error::bug(format!("a column holds the time {ms}: {error}")))
}

/// A column of JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::bug(format!("a column of JSON cannot be read: {error}")))
}

/// A value as JSON for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(Error::bug)
}
