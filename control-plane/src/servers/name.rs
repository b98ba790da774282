//! The name of a server: the first label of its address, for life.
//!
//! Plain ASCII, so that it reads the same in every browser, on paper and over the telephone, and so that no two names
//! look alike. A name is never given twice, even after its server is gone.

use std::fmt;
use std::str::FromStr;

use super::store;
use crate::{ControlPlane, Error, Result};

/// The name of a server: 3 to 32 of `a`–`z`, `0`–`9` and inner single hyphens, with a letter, and not reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(String);

/// Why a text is no name for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Shorter than 3 or longer than 32.
    #[error("An address has 3 to 32 letters.")]
    Length,
    /// Other letters than the allowed ones.
    #[error("An address is made of the letters a to z, digits and hyphens.")]
    Letters,
    /// A hyphen at an end, or two in a row.
    #[error("Hyphens stand between letters, one at a time.")]
    Hyphens,
    /// Digits only, which browsers could take for something else.
    #[error("An address has at least one letter.")]
    NoLetter,
    /// Needed for the provider itself.
    #[error("This address is needed for the provider itself.")]
    Reserved,
}

/// Labels that stand for the provider, or that mail and browsers give a meaning.
const RESERVED: [&str; 50] = [
    "abuse",
    "account",
    "accounts",
    "acme",
    "admin",
    "administrator",
    "api",
    "app",
    "apps",
    "assets",
    "autoconfig",
    "autodiscover",
    "billing",
    "blog",
    "cdn",
    "console",
    "dns",
    "docs",
    "export",
    "freehold",
    "ftp",
    "help",
    "hostmaster",
    "imap",
    "info",
    "internal",
    "isatap",
    "localhost",
    "login",
    "mail",
    "mta-sts",
    "news",
    "noreply",
    "operator",
    "pop",
    "postmaster",
    "provider",
    "root",
    "security",
    "server",
    "smtp",
    "static",
    "status",
    "store",
    "support",
    "system",
    "test",
    "webmaster",
    "wpad",
    "www",
];

impl ServerName {
    /// Reads a name that somebody wants: outer space and capitals do not matter.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name: Self = text.parse()?;
        if RESERVED.contains(&name.as_str()) { Err(NameError::Reserved) } else { Ok(name) }
    }

    fn shaped(text: &str) -> Result<Self, NameError> {
        let name = text.trim().to_ascii_lowercase();
        if !name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err(NameError::Letters);
        }
        if !(3..=32).contains(&name.len()) {
            return Err(NameError::Length);
        }
        // Two hyphens in a row also rule out `xn--`, the mark of an encoded name.
        if name.starts_with('-') || name.ends_with('-') || name.contains("--") {
            return Err(NameError::Hyphens);
        }
        if !name.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(NameError::NoLetter);
        }
        Ok(Self(name))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest name that can be, out of whatever was typed.
    fn nearest(text: &str) -> Option<Self> {
        let mut name = String::new();
        for letter in text.trim().to_lowercase().chars() {
            match letter {
                'a'..='z' | '0'..='9' => name.push(letter),
                'ä' | 'æ' => name.push_str("ae"),
                'ö' | 'ø' | 'œ' => name.push_str("oe"),
                'ü' => name.push_str("ue"),
                'ß' => name.push_str("ss"),
                'à' | 'á' | 'â' | 'ã' | 'å' => name.push('a'),
                'ç' | 'č' => name.push('c'),
                'è' | 'é' | 'ê' | 'ë' => name.push('e'),
                'ì' | 'í' | 'î' | 'ï' => name.push('i'),
                'ñ' => name.push('n'),
                'ò' | 'ó' | 'ô' | 'õ' => name.push('o'),
                'ù' | 'ú' | 'û' => name.push('u'),
                _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                _ => {}
            }
        }
        let name: String = name.chars().take(32).collect();
        let name = name.trim_end_matches('-');
        Self::parse(name).or_else(|_| Self::parse(&format!("{name}-home"))).ok()
    }

    /// Other names that people take instead.
    fn others(&self) -> impl Iterator<Item = Self> + '_ {
        let tails = ["home", "house", "2", "3", "4", "5"].into_iter().map(str::to_owned);
        let numbers = (1..=20).map(|n| (n * 37 % 90 + 10).to_string());
        tails.chain(numbers).filter_map(|tail| {
            let room = 32 - tail.len() - 1;
            let head: String = self.0.chars().take(room).collect();
            Self::parse(&format!("{}-{tail}", head.trim_end_matches('-'))).ok()
        })
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerName {
    type Err = NameError;

    /// Reads a name that is in use. What has been reserved since it was given stays its owner's.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::shaped(text)
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::fix("server_name", error.to_string())
    }
}

/// Whether a name can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Free(ServerName),
    /// Somebody has it.
    Taken {
        /// One that can be had.
        suggestion: Option<ServerName>,
    },
    /// Nobody can have it.
    Not {
        /// Why, in a sentence.
        why: String,
        /// One that can be had.
        suggestion: Option<ServerName>,
    },
}

/// Whether a name can be had, for anybody; a promise only once *Create* is pressed.
pub async fn name_available(plane: &ControlPlane, text: &str) -> Result<Availability> {
    match ServerName::parse(text) {
        Ok(name) if !store::is_name_taken(plane.db(), &name).await? => Ok(Availability::Free(name)),
        Ok(name) => Ok(Availability::Taken { suggestion: suggest(plane, &name).await? }),
        Err(error) => {
            let suggestion = match ServerName::nearest(text) {
                Some(name) if store::is_name_taken(plane.db(), &name).await? => suggest(plane, &name).await?,
                near => near,
            };
            Ok(Availability::Not { why: error.to_string(), suggestion })
        }
    }
}

async fn suggest(plane: &ControlPlane, name: &ServerName) -> Result<Option<ServerName>> {
    for other in name.others() {
        if !store::is_name_taken(plane.db(), &other).await? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_as_typed() {
        for (text, name) in [("anna", "anna"), (" Anna ", "anna"), ("anna-berg-2", "anna-berg-2"), ("4you", "4you")] {
            assert_eq!(ServerName::parse(text).unwrap().as_str(), name);
        }
        for (text, error) in [
            ("", NameError::Length),
            ("ab", NameError::Length),
            (&"a".repeat(33), NameError::Length),
            ("anna.berg", NameError::Letters),
            ("änna", NameError::Letters),
            ("anna_b", NameError::Letters),
            ("-anna", NameError::Hyphens),
            ("anna-", NameError::Hyphens),
            ("xn--nna-qla", NameError::Hyphens),
            ("1234", NameError::NoLetter),
            ("WWW", NameError::Reserved),
            ("console", NameError::Reserved),
        ] {
            assert_eq!(ServerName::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_leads_to_one_that_can() {
        for (text, name) in
            [("Änna Berg", "aenna-berg"), ("anna.berg", "anna-berg"), ("admin", "admin-home"), ("--jo--", "jo-home")]
        {
            assert_eq!(ServerName::nearest(text).unwrap().as_str(), name);
        }
        assert_eq!(ServerName::nearest("雪"), None);
    }

    proptest! {
        #[test]
        fn every_name_is_a_host_label_that_reads_back(text in "\\PC{0,40}") {
            if let Ok(name) = ServerName::parse(&text) {
                prop_assert_eq!(idna::domain_to_ascii(name.as_str()).unwrap(), name.as_str());
                prop_assert_eq!(ServerName::parse(name.as_str()), Ok(name.clone()));
                for other in name.others() {
                    prop_assert!(other.as_str().len() <= 32 && other != name);
                }
            }
            if let Some(near) = ServerName::nearest(&text) {
                prop_assert!(ServerName::parse(near.as_str()).is_ok());
            }
        }
    }
}
