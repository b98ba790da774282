//! With whom something is shared.

use std::fmt;
use std::str::FromStr;

/// With whom something is shared, as CEPS writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// `_public`: everyone.
    Public,
    /// `_privatelink`: whoever has the link.
    PrivateLink,
    /// `_privatefeed:<name>`: whoever has the link of that feed.
    PrivateFeed(String),
    /// `group:<name>`: the members of a group of contacts.
    Group(String),
    /// `user@host`: one person.
    Person(Person),
}

/// A person by the server they have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// The name on that server.
    pub user: String,
    /// The server's host name, with a port where it has one of its own.
    pub host: String,
}

/// A text that names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names nobody to share with: write user@host, group:name, _public, _privatelink or _privatefeed:name, where a name has up to 64 letters, digits, - and _"
)]
pub struct NoGrantee(String);

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl FromStr for Grantee {
    type Err = NoGrantee;

    fn from_str(text: &str) -> Result<Self, NoGrantee> {
        let bad = || NoGrantee(text.chars().take(100).collect());
        let named = |name: &str| is_name(name).then(|| name.to_owned()).ok_or_else(bad);
        match text {
            "_public" => Ok(Self::Public),
            "_privatelink" => Ok(Self::PrivateLink),
            _ => match text.split_once(':') {
                Some(("_privatefeed", name)) => named(name).map(Self::PrivateFeed),
                Some(("group", name)) => named(name).map(Self::Group),
                _ => text.parse().map(Self::Person).map_err(|_| bad()),
            },
        }
    }
}

impl FromStr for Person {
    type Err = NoGrantee;

    fn from_str(text: &str) -> Result<Self, NoGrantee> {
        let bad = || NoGrantee(text.chars().take(100).collect());
        let (user, host) = text.rsplit_once('@').ok_or_else(bad)?;
        let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
        let label =
            |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let is_host = name.len() <= 253 && name.split('.').all(label);
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|n| n > 0 && n.to_string() == port));
        if !is_name(user) || user.starts_with('_') || !is_host || !is_port {
            return Err(bad());
        }
        Ok(Self { user: user.to_ascii_lowercase(), host: host.to_ascii_lowercase() })
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("_public"),
            Self::PrivateLink => f.write_str("_privatelink"),
            Self::PrivateFeed(name) => write!(f, "_privatefeed:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Person(person) => person.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn grantees_are_read_as_they_are_written() {
        for text in [
            "_public",
            "_privatelink",
            "_privatefeed:family",
            "group:friends",
            "bob@bob.example.org",
            "b@x.localhost:8080",
        ] {
            assert_eq!(text.parse::<Grantee>().unwrap().to_string(), text);
        }
        assert_eq!("Bob@Bob.Example".parse::<Grantee>().unwrap().to_string(), "bob@bob.example");
        let long = "x".repeat(65);
        for bad in [
            "",
            "bob",
            "_all",
            "group:",
            "group:a b",
            "_privatefeed",
            "@host",
            "bob@",
            "bob@a b",
            "bob@x/..",
            "bob@x:0",
            "bob@x:70000",
            "bob@x:080",
            "_public@x.example",
            "bob@x..y",
            &format!("{long}@x.example"),
        ] {
            assert!(bad.parse::<Grantee>().is_err(), "{bad:?}");
        }
    }
}
