//! A domain name as people write it and as DNS has it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::Error;

/// The challenge stands at this label below a domain.
const CHALLENGE_LABEL: &str = "_freehold-challenge";
/// What DNS has room for, less the label of the challenge and its dot.
const LONGEST: usize = 253 - CHALLENGE_LABEL.len() - 1;
/// Names that never are anybody's on the public internet (RFC 6761, RFC 6762, RFC 9476 and ICANN's `internal`).
const NOBODYS: [&str; 8] = ["localhost", "local", "internal", "arpa", "onion", "invalid", "alt", "lan"];

/// A domain name of two labels at least, in lower case ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Why a text is no domain that somebody can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// Nothing, or something that DNS cannot hold.
    #[error("Write a domain as it stands in a browser, like anna-berg.example, without https:// and without a path.")]
    Shape,
    /// An ending alone.
    #[error("That is an ending and not a domain. Write the whole name, like anna-berg.example.")]
    OneLabel,
    /// An address of a machine.
    #[error("That is the address of a machine. Write the name that you registered, like anna-berg.example.")]
    Address,
    /// A name for use within one network.
    #[error("Names of this ending work within one network only and are nobody's. Use a name that you registered.")]
    Nobodys,
}

impl DomainName {
    /// Reads what somebody typed: outer space, capitals and a dot at the end do not matter.
    pub fn parse(text: &str) -> Result<Self, DomainNameError> {
        let text = text.trim().trim_end_matches('.');
        if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(DomainNameError::Address);
        }
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map_err(|_| DomainNameError::Shape)?;
        let name = ascii.into_owned();
        let Some((_, last)) = name.rsplit_once('.') else {
            return Err(if NOBODYS.contains(&name.as_str()) {
                DomainNameError::Nobodys
            } else {
                DomainNameError::OneLabel
            });
        };
        if name.len() > LONGEST {
            return Err(DomainNameError::Shape);
        }
        // Browsers read a name whose last label is a number as an address.
        if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
            return Err(DomainNameError::Address);
        }
        if NOBODYS.contains(&last) {
            return Err(DomainNameError::Nobodys);
        }
        Ok(Self(name))
    }

    /// As DNS has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people read it.
    pub fn for_people(&self) -> String {
        let (text, read) = idna::domain_to_unicode(&self.0);
        if read.is_ok() { text } else { self.0.clone() }
    }

    /// Where the challenge stands.
    pub fn challenge_name(&self) -> String {
        format!("{CHALLENGE_LABEL}.{}", self.0)
    }

    /// Whether this is `other`, lies below it, or has it below itself.
    pub fn is_kin(&self, other: &str) -> bool {
        let below = |inner: &str, outer: &str| inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'));
        self.0 == other || below(&self.0, other) || below(other, &self.0)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        Self::parse(text)
    }
}

impl From<DomainNameError> for Error {
    fn from(error: DomainNameError) -> Self {
        Self::fix("domain", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_as_typed_and_kept_as_dns_has_them() {
        for (text, name) in [
            (" Anna-Berg.Example. ", "anna-berg.example"),
            ("blog.anna.co.example", "blog.anna.co.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(DomainName::parse(text).unwrap().as_str(), name);
        }
        assert_eq!(DomainName::parse("xn--bcher-kva.example").unwrap().for_people(), "bücher.example");
        for (text, error) in [
            ("", DomainNameError::Shape),
            ("https://anna.example", DomainNameError::Shape),
            ("anna.example/blog", DomainNameError::Shape),
            ("anna_b.example", DomainNameError::Shape),
            ("*.anna.example", DomainNameError::Shape),
            ("-anna.example", DomainNameError::Shape),
            ("anna..example", DomainNameError::Shape),
            ("xn--a.example", DomainNameError::Shape),
            ("anna.example:8080", DomainNameError::Shape),
            (&format!("{}.example", "a".repeat(64)), DomainNameError::Shape),
            ("example", DomainNameError::OneLabel),
            ("192.0.2.7", DomainNameError::Address),
            ("[2001:db8::1]", DomainNameError::Address),
            ("anna.1", DomainNameError::Address),
            ("anna.localhost", DomainNameError::Nobodys),
            ("printer.local", DomainNameError::Nobodys),
            ("localhost", DomainNameError::Nobodys),
        ] {
            assert_eq!(DomainName::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn kin_are_the_same_name_and_those_above_and_below() {
        let name = DomainName::parse("sites.lindenhof.example").unwrap();
        for kin in ["sites.lindenhof.example", "lindenhof.example", "anna.sites.lindenhof.example"] {
            assert!(name.is_kin(kin), "{kin}");
        }
        for stranger in ["othersites.lindenhof.example", "notlindenhof.example", "lindenhof.test"] {
            assert!(!name.is_kin(stranger), "{stranger}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_as_itself(text in "\\PC{0,40}(\\.\\PC{1,8})?") {
            if let Ok(name) = DomainName::parse(&text) {
                prop_assert_eq!(DomainName::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(name.as_str().is_ascii());
            }
        }
    }
}
