//! What the operator may decide before the provider starts: one TOML file in which every key has a default, and the
//! environment above it.
//!
//! There is one list of keys (`keys::KEYS`). The file, the environment, the printed document and the errors are all
//! made from it, so that none of them can forget a key. A mistake names the key, the place and the mend; a key that
//! does not exist is a mistake too, because a misspelt key that is silently ignored is worse than an error.

mod document;
mod error;
mod file;
mod keys;
mod storage;
mod value;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use control_plane::gateway::Trusted;

pub use document::document;
pub use error::{ConfigError, Place};
pub use storage::Storage;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Everything a provider is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The directory that holds everything that must survive.
    pub data: PathBuf,
    /// Where the one TCP port listens.
    pub listen: SocketAddr,
    /// The domain under which servers get their addresses, as proposed to the operator at set-up.
    pub sites_domain: String,
    /// `http`, or `https` when something in front of the provider ends TLS.
    pub scheme: Scheme,
    /// The port browsers see, when it is not the one in `listen`.
    pub public_port: Option<u16>,
    /// The proxies in front, whose word on a client's address is taken.
    pub trusted_proxies: Trusted,
    /// The most connections at a time.
    pub connections: usize,
    /// The most connections of one client.
    pub connections_per_client: usize,
    /// How many people may sign up from one network within an hour.
    pub sign_ups_per_hour: u32,
    /// The database, when it is not SQLite in the data directory.
    pub database: Option<String>,
    /// Where homes lie, when not in the data directory.
    pub storage: Storage,
    /// How long a server may be unused before it sleeps.
    pub idle_after: Duration,
    /// The folder with `freehold-runtime`, when it is not the one of this binary.
    pub programs: Option<PathBuf>,
    /// How much the caches of sleeping servers may take, in bytes, when it is not half of what the disk has left.
    pub cache_bytes: Option<u64>,
    /// Whether to start where servers of strangers cannot be kept apart.
    pub allow_weak_isolation: bool,
    /// How long after an exit drill that passed a server's next turn comes; zero for only when somebody asks.
    pub drills_every: Duration,
    /// Whether people's own storage may be on this machine and its networks.
    pub allow_private_places: bool,
    /// The resolver that people's own domains are looked up with, when it is not the machine's.
    pub dns_resolver: Option<SocketAddr>,
    /// The addresses such domains are to lead to, when they are not those of the servers' own names.
    pub dns_addresses: Vec<IpAddr>,
    /// The mail server, when letters are to be sent and not only kept.
    pub smtp: Option<String>,
    /// Who letters come from.
    pub mail_from: String,
    /// A catalogue of apps elsewhere: an address or a folder. The built-in one when absent.
    pub catalogue: Option<String>,
    /// The public key that signs that catalogue.
    pub catalogue_key: Option<String>,
    /// How much is logged.
    pub log: String,
    /// How log lines are written.
    pub log_format: LogFormat,
}

/// What browsers speak to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP, for one machine and for tests.
    Http,
    /// TLS, ended in front of the provider.
    Https,
}

impl Scheme {
    /// As it stands in an address.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self {
            data: PathBuf::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            sites_domain: String::new(),
            scheme: Scheme::Http,
            public_port: None,
            trusted_proxies: Trusted::default(),
            connections: 0,
            connections_per_client: 0,
            sign_ups_per_hour: 0,
            database: None,
            storage: Storage::default(),
            idle_after: Duration::ZERO,
            programs: None,
            cache_bytes: None,
            allow_weak_isolation: false,
            drills_every: Duration::ZERO,
            allow_private_places: false,
            dns_resolver: None,
            dns_addresses: Vec::new(),
            smtp: None,
            mail_from: String::new(),
            catalogue: None,
            catalogue_key: None,
            log: String::new(),
            log_format: LogFormat::Text,
        };
        for key in keys::KEYS {
            (key.set)(&mut config, key.default).expect("a default is a good value: a test sets each of them");
        }
        config
    }
}

impl Config {
    /// Reads the file, when there is one, and then the environment; what neither names keeps its default.
    pub fn read(
        file: Option<&std::path::Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            file::apply(&mut config, path, &text)?;
        }
        for (name, value) in environment {
            set_from_environment(&mut config, &name, &value)?;
        }
        config.storage.remote()?;
        Ok(config)
    }

    /// Sets the sites domain from the command line.
    ///
    /// # Errors
    /// When it is no domain.
    pub fn set_sites_domain(&mut self, domain: &str) -> Result<(), ConfigError> {
        let mend = |mend| ConfigError::bad("sites_domain", domain, Place::Option("--sites-domain"), mend);
        self.sites_domain = value::domain(domain).map_err(mend)?;
        Ok(())
    }

    /// The port that stands in addresses, absent when it is the scheme's own.
    #[must_use]
    pub fn port_in_addresses(&self, bound: u16) -> Option<u16> {
        let port = self.public_port.unwrap_or(bound);
        match (self.scheme, port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => None,
            (_, port) => Some(port),
        }
    }
}

/// Names of the environment that begin with `FREEHOLD_` but are not keys of the file.
const OTHERS: &[&str] = &["FREEHOLD_CONFIG", "FREEHOLD_BIN_DIR", "FREEHOLD_LAUNCH"];

fn set_from_environment(config: &mut Config, name: &str, value: &str) -> Result<(), ConfigError> {
    if !name.starts_with("FREEHOLD_") || OTHERS.contains(&name) {
        return Ok(());
    }
    let Some(key) = keys::KEYS.iter().find(|key| key.environment() == name) else {
        // Test harnesses and systemd units set variables of their own; only what looks like a misspelt key is refused.
        let near = keys::nearest(&name["FREEHOLD_".len()..].to_lowercase(), |key| key.name.replace('.', "_"));
        return match near {
            Some(key) => Err(ConfigError::unknown(name, Place::Environment(name.to_owned()), Some(key.environment()))),
            None => Ok(()),
        };
    };
    (key.set)(config, value)
        .map_err(|mend| ConfigError::bad(key.name, value, Place::Environment(name.to_owned()), mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_good_value() {
        let config = Config::default();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.sites_domain, "localhost");
    }

    #[test]
    fn the_printed_document_reads_back_as_the_defaults() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("freehold.toml");
        std::fs::write(&path, document()).expect("written");
        assert_eq!(Config::read(Some(&path), []).expect("good"), Config::default());
        let text = document();
        let uncommented = text.lines().map(|line| line.strip_prefix("#? ").unwrap_or(line)).collect::<Vec<_>>();
        std::fs::write(&path, uncommented.join("\n")).expect("written");
        assert_eq!(Config::read(Some(&path), []).expect("good"), Config::default());
    }
}
