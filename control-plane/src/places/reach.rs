//! The address of a place as somebody wrote it down.
//!
//! A place is an address that a stranger wrote down and that this program then connects to, with its own network in
//! reach: only by [`Reach`], which looks at what each name stands for.
//!
//! Invariant: without the operator's leave nothing is connected to but public addresses, over TLS.

pub(super) use tenant_runtime::outside::NotPublic;
pub use tenant_runtime::outside::Reach;
use url::{Host, Url};

use crate::{Error, Kind, Result};

/// Looking at addresses that somebody wrote down.
pub(crate) trait Looking: Sized {
    /// The address of a place as somebody wrote it down.
    fn parse(self, field: &'static str, written: &str) -> Result<Url>;

    /// The same for an address that may have a query.
    fn parse_with_query(self, field: &'static str, written: &str) -> Result<Url>;

    /// A client for one place, good for one piece of work.
    fn connecting(self) -> Result<reqwest::Client>;
}

impl Looking for Reach {
    fn parse(self, field: &'static str, written: &str) -> Result<Url> {
        let url = Url::parse(written.trim())
            .map_err(|_| Error::fix(field, "Write a whole address, like https://storage.example.org."))?;
        match (url.scheme(), self) {
            ("https", _) | ("http", Self::Private) => {}
            ("http", Self::Public) => {
                return Err(Error::fix(
                    field,
                    "Write an address that begins with https://. Without it, anybody on the way could read your archive and your key.",
                ));
            }
            _ => return Err(Error::fix(field, "Write an address that begins with https://.")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::fix(
                field,
                "Write the address without user and password; they have fields of their own.",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::fix(field, "Write the address without what comes after ? or #."));
        }
        checked(self, field, url)
    }

    fn parse_with_query(self, field: &'static str, written: &str) -> Result<Url> {
        let (bare, query) = match written.trim().split('#').next().unwrap_or_default().split_once('?') {
            Some((bare, query)) => (bare.to_owned(), Some(query.to_owned())),
            None => (written.trim().split('#').next().unwrap_or_default().to_owned(), None),
        };
        let mut url = self.parse(field, &bare)?;
        url.set_query(query.as_deref());
        Ok(url)
    }

    fn connecting(self) -> Result<reqwest::Client> {
        self.client().map_err(Error::bug)
    }
}

fn checked(reach: Reach, field: &'static str, url: Url) -> Result<Url> {
    match url.host() {
        Some(Host::Ipv4(ip)) if !reach.takes(ip.into()) => Err(Error::fix(field, NOT_PUBLIC)),
        Some(Host::Ipv6(ip)) if !reach.takes(ip.into()) => Err(Error::fix(field, NOT_PUBLIC)),
        Some(_) => Ok(url),
        None => Err(Error::fix(field, "Write a whole address, like https://storage.example.org.")),
    }
}

const NOT_PUBLIC: &str = "This address is not on the public internet, so we do not connect to it. Write the address by which your storage is reached from everywhere.";

impl From<NotPublic> for Error {
    fn from(error: NotPublic) -> Self {
        Self::new(Kind::Fix, NOT_PUBLIC).because(error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_that_is_written_down_is_looked_at() {
        let parse = |reach: Reach, text: &str| reach.parse("endpoint", text);
        assert!(parse(Reach::Public, " https://s3.example.org:9000/ ").is_ok());
        for bad in [
            "s3.example.org",
            "ftp://x.example",
            "file:///etc/passwd",
            "http://s3.example.org",
            "https://u:p@x.example",
            "https://x.example/?a=b",
            "https://127.0.0.1",
            "https://127.1",
            "https://0x7f000001",
            "https://2130706433",
            "https://[::1]",
            "https://[::ffff:10.0.0.1]",
            "https://169.254.169.254/latest",
        ] {
            let refused = parse(Reach::Public, bad).unwrap_err();
            assert_eq!((refused.kind(), refused.field()), (Kind::Fix, Some("endpoint")), "{bad}");
        }
        assert!(parse(Reach::Private, "http://127.0.0.1:9000").is_ok());
        assert!(parse(Reach::Private, "gopher://127.0.0.1").is_err());
    }
}
