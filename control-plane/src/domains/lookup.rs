//! What DNS says about a name, asked anew each time: nothing is kept, or a person would wait for what they have mended.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::DomainName;
use crate::keys;

/// So long for one answer, and so often.
const TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPTS: usize = 2;

/// How names are looked up, and where names are to lead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// The resolver to ask; without one, those that this machine is set up with.
    pub resolver: Option<SocketAddr>,
    /// The addresses under which browsers reach this provider; where there are none, those to which the server's own
    /// address leads.
    pub addresses: Vec<IpAddr>,
}

/// Asks DNS.
pub(crate) struct Lookup {
    /// Or why nothing can be asked.
    resolver: Result<TokioResolver, String>,
    addresses: Vec<IpAddr>,
}

/// Nobody knows: what was asked gave no answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown(pub(super) String);

/// What was found about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The texts at the place of the challenge.
    pub(super) challenges: Result<BTreeSet<String>, Unknown>,
    /// Where the name leads.
    pub(super) leads: Result<Leads, Unknown>,
    /// Whether names below it that nobody named lead here.
    pub(super) wildcard: bool,
}

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leads {
    /// Here, and nowhere else.
    Here,
    /// To other addresses, some of which are named.
    Elsewhere(Vec<IpAddr>),
    /// It has no address.
    Nowhere,
}

impl Lookup {
    pub(crate) fn new(dns: &Dns) -> Self {
        Self { resolver: resolver(dns.resolver).map_err(|error| error.to_string()), addresses: dns.addresses.clone() }
    }

    /// Looks a name up; `home` is the address of the server here.
    pub(super) async fn find(&self, name: &DomainName, home: &str) -> Found {
        // A name nobody can have asked for before, so that nothing on the way has kept an answer.
        let chance = format!("{}.{name}", hex::encode(&keys::random_bytes()[..8]));
        let challenge = name.challenge_name();
        let (challenges, there, here, below) = tokio::join!(
            self.texts(&challenge),
            self.addresses(name.as_str()),
            self.here(home),
            self.addresses(&chance),
        );
        let leads = |found: Result<BTreeSet<IpAddr>, Unknown>| match (found, &here) {
            (Err(unknown), _) => Err(unknown),
            (Ok(found), _) if found.is_empty() => Ok(Leads::Nowhere),
            (Ok(_), Err(unknown)) => Err(unknown.clone()),
            (Ok(found), Ok(here)) if found.is_subset(here) => Ok(Leads::Here),
            (Ok(found), Ok(here)) => Ok(Leads::Elsewhere(found.difference(here).take(3).copied().collect())),
        };
        Found { challenges, wildcard: leads(below) == Ok(Leads::Here), leads: leads(there) }
    }

    /// The addresses at which this provider is reached.
    pub(super) async fn here(&self, home: &str) -> Result<BTreeSet<IpAddr>, Unknown> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.iter().copied().collect());
        }
        let here = self.addresses(home).await?;
        if here.is_empty() { Err(Unknown(format!("{home} itself has no address in DNS"))) } else { Ok(here) }
    }

    async fn texts(&self, name: &str) -> Result<BTreeSet<String>, Unknown> {
        match self.resolver()?.txt_lookup(format!("{name}.")).await {
            Ok(found) => {
                let texts = found.answers().iter().filter_map(|record| match &record.data {
                    RData::TXT(text) => Some(text.txt_data.concat()),
                    _ => None,
                });
                Ok(texts.map(|text| String::from_utf8_lossy(&text).trim().to_owned()).collect())
            }
            Err(error) => none_or_unknown(&error),
        }
    }

    async fn addresses(&self, name: &str) -> Result<BTreeSet<IpAddr>, Unknown> {
        match self.resolver()?.lookup_ip(format!("{name}.")).await {
            Ok(found) => Ok(found.iter().map(|ip| ip.to_canonical()).collect()),
            Err(error) => none_or_unknown(&error),
        }
    }

    fn resolver(&self) -> Result<&TokioResolver, Unknown> {
        self.resolver.as_ref().map_err(|why| Unknown(why.clone()))
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// That there is no such record is an answer; anything else is none.
fn none_or_unknown<T>(error: &NetError) -> Result<BTreeSet<T>, Unknown> {
    if error.is_no_records_found() { Ok(BTreeSet::new()) } else { Err(Unknown(error.to_string())) }
}

fn resolver(address: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match address {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = address.port();
                connection
            });
            let server = NameServerConfig::new(address.ip(), true, connections.into());
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.cache_size = 0;
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}
