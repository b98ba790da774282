//! An e-mail address that we can write to.

use std::fmt;
use std::str::FromStr;

/// An e-mail address, in small letters, so that one person has one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

/// This cannot be an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("This is not a complete e-mail address. It looks like anna@example.org.")]
pub struct NoEmail;

impl Email {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = NoEmail;

    fn from_str(text: &str) -> Result<Self, NoEmail> {
        let text = text.trim().to_lowercase();
        let parsed: lettre::Address = text.parse().map_err(|_| NoEmail)?;
        if text.len() > 254 || parsed.domain().starts_with('.') {
            return Err(NoEmail);
        }
        Ok(Self(text))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<NoEmail> for crate::Error {
    fn from(error: NoEmail) -> Self {
        Self::fix("email", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_person_is_one_address() {
        assert_eq!(" Anna@Example.ORG ".parse::<Email>().unwrap().as_str(), "anna@example.org");
        for text in ["", "anna", "anna@", "@example.org", "a b@example.org", "anna@exa\nmple.org"] {
            assert_eq!(text.parse::<Email>(), Err(NoEmail), "{text:?}");
        }
    }
}
