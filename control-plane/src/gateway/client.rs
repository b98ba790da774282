//! Who is at the other end: the client's own address, also behind a proxy that the operator trusts.
//!
//! Anybody can write `X-Forwarded-For`; only from a proxy that was named does it count. It is read from its right end,
//! which the nearest proxy wrote, and the first address that is no trusted proxy's is the client's. `Forwarded`
//! (RFC 7239) is read only when there is no `X-Forwarded-For`, because most proxies write only the latter and pass on
//! whatever else a client made up.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;
use http::header::{self, HeaderName};

pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word on a client's address is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a list of proxies cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("“{0}” is neither an IP address nor a network like 10.0.0.0/8")]
pub struct BadNetwork(String);

impl FromStr for Trusted {
    type Err = BadNetwork;

    /// Addresses and networks, between commas or blanks.
    fn from_str(list: &str) -> Result<Self, BadNetwork> {
        let words = list.split(|sign: char| sign == ',' || sign.is_whitespace()).filter(|word| !word.is_empty());
        words.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| bad())?;
        if bits > most { Err(bad()) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    fn covers(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differ = u32::from(ours) ^ u32::from(theirs);
                differ.checked_shr(32 - u32::from(self.bits.min(32))).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differ = u128::from(ours) ^ u128::from(theirs);
                differ.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Trusted {
    /// Whether a connection from there is a trusted proxy's.
    pub(super) fn covers(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.covers(address))
    }

    /// The client behind a trusted proxy; the nearest address that is known for certain when the headers make no sense.
    pub(super) fn client(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = proxy;
        for word in told(headers).into_iter().rev() {
            let Some(address) = address_of(&word) else { break };
            nearest = address;
            if !self.covers(address) {
                break;
            }
        }
        nearest.to_canonical()
    }
}

/// The addresses that proxies told, the farthest first.
fn told(headers: &HeaderMap) -> Vec<String> {
    let words = |name: &HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|word| word.trim().to_owned()).collect()
    };
    let plain = words(&X_FORWARDED_FOR);
    if !plain.is_empty() {
        return plain;
    }
    let of_element = |element: String| {
        let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        named.next().map_or_else(String::new, |(_, value)| value.trim().trim_matches('"').to_owned())
    };
    words(&header::FORWARDED).into_iter().map(of_element).collect()
}

/// An address as proxies write it: alone, in brackets, with a port.
fn address_of(word: &str) -> Option<IpAddr> {
    let bare = word.parse().ok();
    bare.or_else(|| word.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
        .or_else(|| word.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// What counts as one client: one household has a /64 of addresses in IPv6.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn client(trusted: &str, proxy: &str, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        trusted.parse::<Trusted>().unwrap().client(proxy.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_proxys_is_the_clients() {
        let two = "10.0.0.0/8 2001:db8::/32";
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
            (&[("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.1.1.1")], "203.0.113.9"),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
            (&[("x-forwarded-for", "203.0.113.9:4711")], "203.0.113.9"),
            (&[("x-forwarded-for", "nonsense, 10.2.2.2")], "10.2.2.2"),
            (&[], "10.0.0.1"),
            (&[("forwarded", "for=\"[2001:db9::7]:80\";proto=https, for=10.3.3.3")], "2001:db9::7"),
            (&[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9"),
        ];
        for (headers, expected) in cases {
            assert_eq!(client(two, "10.0.0.1", headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_list_covers_what_it_names_and_nothing_else() {
        let trusted: Trusted = "127.0.0.1, 192.168.0.0/16,2001:db8::/33 0.0.0.0/32".parse().unwrap();
        for inside in ["127.0.0.1", "192.168.255.1", "::ffff:192.168.1.1", "2001:db8:7fff::1"] {
            assert!(trusted.covers(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["127.0.0.2", "192.169.0.1", "2001:db8:8000::1", "::1"] {
            assert!(!trusted.covers(outside.parse().unwrap()), "{outside}");
        }
        assert!("0.0.0.0/0".parse::<Trusted>().unwrap().covers("8.8.8.8".parse().unwrap()));
        for bad in ["10.0.0.0/33", "proxy.example", "::/129", "10.0.0.0/"] {
            assert!(bad.parse::<Trusted>().is_err(), "{bad} was taken");
        }
    }
}
