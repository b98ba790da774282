//! Which addresses may be connected to, and the client that reaches no others.
//!
//! Somebody else wrote the address down, and this program connects to it with its own network in reach. So every connection
//! goes to an address that was looked at: a host name is resolved once for a client, what it resolves to is checked there, and
//! the connection is made to just that. No answer leads anywhere else: redirects are not followed and no proxy of the
//! environment is used.
//!
//! Invariant: with [`Reach::Public`] nothing is connected to but public addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long it may take to be connected.
const TO_CONNECT: Duration = Duration::from_secs(10);

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public ones, over TLS.
    #[default]
    Public,
    /// Also those of this machine and its networks, and without TLS: for a provider whose people all trust each other.
    Private,
}

impl Reach {
    /// Whether this address may be connected to.
    #[must_use]
    pub fn takes(self, ip: IpAddr) -> bool {
        self == Self::Private || is_public(ip)
    }

    /// A client for one other computer, good for one piece of work.
    ///
    /// # Errors
    /// When the system's list of certificates cannot be used.
    pub fn client(self) -> reqwest::Result<reqwest::Client> {
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
    }
}

/// A host name stands for something that is not on the public internet.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no public address")]
pub struct NotPublic(String);

/// Whether something failed because of a name that does not stand for a public address.
#[must_use]
pub fn is_hidden(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<NotPublic>())
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

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let error = Reach::Public.client().unwrap().get(&url).send().await.unwrap_err();
        assert!(is_hidden(&error), "{error:?}");
        let knock = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(knock.is_err(), "somebody knocked");
        // With leave the same name is reached: what comes then is a connection.
        let asked = tokio::spawn(async move { Reach::Private.client().unwrap().get(&url).send().await });
        tokio::time::timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
        asked.abort();
    }
}
