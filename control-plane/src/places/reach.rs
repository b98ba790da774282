//! Which addresses a place may have, and the client that reaches no others.
//!
//! A place is an address that a stranger wrote down and that this program then connects to, with its own network in
//! reach. So every connection goes to an address that was looked at: a host name is resolved once for a client, what it
//! resolves to is checked there, and the connection is made to just that. No answer leads anywhere else: redirects are
//! not followed and no proxy of the environment is used.
//!
//! Invariant: without the operator's leave nothing is connected to but public addresses, over TLS.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{Error, Kind, Result};

/// How long it may take to be connected.
const TO_CONNECT: Duration = Duration::from_secs(10);

/// Which addresses places may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public ones, over TLS.
    #[default]
    Public,
    /// Also those of this machine and its networks, and without TLS: for a provider whose people all trust each other.
    Private,
}

impl Reach {
    /// The address of a place as somebody wrote it down.
    pub(crate) fn parse(self, field: &'static str, written: &str) -> Result<Url> {
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
        self.checked(field, url)
    }

    /// The same for an address that may have a query.
    pub(crate) fn parse_with_query(self, field: &'static str, written: &str) -> Result<Url> {
        let (bare, query) = match written.trim().split('#').next().unwrap_or_default().split_once('?') {
            Some((bare, query)) => (bare.to_owned(), Some(query.to_owned())),
            None => (written.trim().split('#').next().unwrap_or_default().to_owned(), None),
        };
        let mut url = self.parse(field, &bare)?;
        url.set_query(query.as_deref());
        Ok(url)
    }

    fn checked(self, field: &'static str, url: Url) -> Result<Url> {
        match url.host() {
            Some(Host::Ipv4(ip)) if !self.takes(ip.into()) => Err(Error::fix(field, NOT_PUBLIC)),
            Some(Host::Ipv6(ip)) if !self.takes(ip.into()) => Err(Error::fix(field, NOT_PUBLIC)),
            Some(_) => Ok(url),
            None => Err(Error::fix(field, "Write a whole address, like https://storage.example.org.")),
        }
    }

    /// Whether a place may be there.
    fn takes(self, ip: IpAddr) -> bool {
        self == Self::Private || is_public(ip)
    }

    /// A client for one place, good for one piece of work.
    pub(crate) fn client(self) -> Result<reqwest::Client> {
        // Whoever was first has installed the same one.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .dns_resolver(Arc::new(Pinned { reach: self, known: Arc::default() }))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(TO_CONNECT)
            .user_agent(concat!("freehold/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::bug)
    }
}

const NOT_PUBLIC: &str = "This address is not on the public internet, so we do not connect to it. Write the address by which your storage is reached from everywhere.";

/// A host name stands for something that is not on the public internet.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no public address")]
pub(super) struct NotPublic(String);

impl From<NotPublic> for Error {
    fn from(error: NotPublic) -> Self {
        Self::new(Kind::Fix, NOT_PUBLIC).because(error)
    }
}

/// Resolves each name once, and to nothing that may not be reached.
struct Pinned {
    reach: Reach,
    known: Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>,
}

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, known, name) = (self.reach, Arc::clone(&self.known), name.as_str().to_owned());
        Box::pin(async move {
            let pinned = known.lock().get(&name).cloned();
            let addresses = match pinned {
                Some(addresses) => addresses,
                None => {
                    let found = looked_up(&name).await?;
                    // One address that may not be reached condemns the name: who answers so means no good.
                    if found.is_empty() || found.iter().any(|at| !reach.takes(at.ip())) {
                        return Err(NotPublic(name).into());
                    }
                    known.lock().insert(name, found.clone());
                    found
                }
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// What a name stands for. Those below `localhost` are this machine (RFC 6761), which not every resolver knows.
async fn looked_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    if name.trim_end_matches('.').to_ascii_lowercase().ends_with(".localhost") {
        return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    }
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

/// Whether an address is one of the public internet: neither of this machine, nor of a network behind it, nor one that
/// carries such an address inside.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        // NAT64: the address it stands for decides.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        // 6to4 likewise.
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo, ORCHID, benchmarking and the rest of what IETF keeps for protocols; documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // All that is given out as global unicast. IPv4 inside IPv6 (::ffff:0:0/96) is not in it, and is not needed.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_is_on_the_public_internet_is_public() {
        for public in
            ["1.1.1.1", "8.8.8.8", "172.15.0.1", "100.63.0.1", "2606:4700::1111", "2002:101:101::1", "64:ff9b::101:101"]
        {
            assert!(is_public(public.parse().unwrap()), "{public} was refused");
        }
        for hidden in [
            "127.0.0.1",
            "127.8.9.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "203.0.113.9",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
        ] {
            assert!(!is_public(hidden.parse().unwrap()), "{hidden} was taken");
        }
    }

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

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let error = Reach::Public.client().unwrap().get(&url).send().await.unwrap_err();
        let chain = std::iter::successors(std::error::Error::source(&error), |error| error.source());
        assert!(chain.into_iter().any(|error| error.to_string().contains("no public address")), "{error:?}");
        let knock = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(knock.is_err(), "somebody knocked");
        // With leave the same name is reached: what comes then is a connection.
        let asked = tokio::spawn(async move { Reach::Private.client().unwrap().get(&url).send().await });
        tokio::time::timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
        asked.abort();
    }
}
