//! Names that callers give to snapshots, stages and uploads; they become parts of object keys.

use super::error::Error;

/// Whether `name` can be part of a key.
pub(super) fn check(name: &str) -> Result<(), Error> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if (1..=100).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(Error::BadName { name: name.to_owned() })
    }
}
